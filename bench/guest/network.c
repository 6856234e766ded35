// Traffic of a guest with a server on its host: `network ADDRESS PORT name:count,name:count`. The server is
// bench/measure/network-server.ts; the first byte of a connection tells it what to do.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEBIBYTE (1 << 20)
#define REQUEST 64

static struct sockaddr_in server;
static char buffer[256 << 10];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void write_all(int connection, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t written = write(connection, bytes, length);
    if (written <= 0) fail("write");
    bytes += written;
    length -= (size_t)written;
  }
}

static int open_connection(char kind, uint32_t count) {
  int connection = socket(AF_INET, SOCK_STREAM, 0);
  if (connection < 0) fail("socket");
  if (connect(connection, (struct sockaddr *)&server, sizeof server) != 0) fail("connect");
  int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  char head[5] = {kind};
  memcpy(head + 1, &count, 4);
  write_all(connection, head, sizeof head);
  return connection;
}

static uint64_t read_to_end(int connection) {
  uint64_t sum = 0;
  ssize_t length;
  while ((length = read(connection, buffer, sizeof buffer)) > 0) sum += (uint64_t)length;
  if (length < 0) fail("read");
  close(connection);
  return sum;
}

static uint32_t receive_bytes(uint32_t count) {
  return (uint32_t)(read_to_end(open_connection('r', count)) / MEBIBYTE);
}

static uint32_t send_bytes(uint32_t count) {
  int connection = open_connection('s', count);
  for (uint64_t left = (uint64_t)count * MEBIBYTE; left > 0; left -= sizeof buffer)
    write_all(connection, buffer, sizeof buffer);
  shutdown(connection, SHUT_WR);
  // The server closes once it has everything.
  return (uint32_t)read_to_end(connection) + count;
}

static void exchange(int connection) {
  write_all(connection, buffer, REQUEST);
  for (size_t got = 0; got < REQUEST;) {
    ssize_t length = read(connection, buffer + got, REQUEST - got);
    if (length <= 0) fail("read");
    got += (size_t)length;
  }
}

static uint32_t round_trips(uint32_t count) {
  int connection = open_connection('e', 0);
  for (uint32_t i = 0; i < count; i++) exchange(connection);
  close(connection);
  return count;
}

static uint32_t connections(uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    int connection = open_connection('e', 0);
    exchange(connection);
    close(connection);
  }
  return count;
}

static const struct {
  const char *name;
  uint32_t (*run)(uint32_t);
} tests[] = {
    {"network-receive", receive_bytes},
    {"network-send", send_bytes},
    {"network-round-trips", round_trips},
    {"network-connections", connections},
};

int main(int count, char **words) {
  if (count != 4) return 2;
  server.sin_family = AF_INET;
  server.sin_port = htons((uint16_t)atoi(words[2]));
  if (inet_pton(AF_INET, words[1], &server.sin_addr) != 1) return 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (char *item = strtok(words[3], ","); item != NULL; item = strtok(NULL, ",")) {
    char *colon = strchr(item, ':');
    if (colon == NULL) return 2;
    *colon = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
      if (strcmp(tests[i].name, item) != 0) continue;
      printf("\n@start %s\n", item);
      fflush(stdout);
      uint32_t result = tests[i].run((uint32_t)strtoul(colon + 1, NULL, 10));
      printf("\n@end %s %08x\n", item, result);
      fflush(stdout);
    }
  }
  return 0;
}
