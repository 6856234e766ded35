// A server that runs a program for each connection, as sshd would without its cryptography: `exec PORT COUNT`.
// It ends after COUNT programs; bench/measure/exec-client.ts is at the other end.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

int main(int count, char **words) {
  if (count != 4) return 2;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1]))};
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0) fail("bind");
  if (listen(listener, 16) != 0) fail("listen");
  for (uint32_t done = 0, wanted = (uint32_t)strtoul(words[2], NULL, 10); done < wanted; done++) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) fail("accept");
    if (done == 0) {
      printf("\n@start %s\n", words[3]);
      fflush(stdout);
    }
    pid_t child = fork();
    if (child == 0) {
      for (int stream = 0; stream < 3; stream++) dup2(connection, stream);
      execl("/bin/busybox", "echo", "done", (char *)NULL);
      _exit(127);
    }
    if (child < 0 || waitpid(child, NULL, 0) != child) fail("fork");
    close(connection);
  }
  printf("\n@end %s 0\n", words[3]);
  fflush(stdout);
  return 0;
}
