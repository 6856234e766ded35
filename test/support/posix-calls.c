// What the C library and programs expect of a file system, in the directory that is named. Each line that it writes is
// a case that failed; it ends with the number of them.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int failures;
#define EXPECT(condition)                                                                  \
  do {                                                                                     \
    errno = 0;                                                                             \
    if (!(condition)) failures++, printf("line %d: %s (%s)\n", __LINE__, #condition, strerror(errno)); \
  } while (0)
#define FAILS(call, number) EXPECT((call) == -1 && errno == (number))

static int file(const char *name, const char *content) {
  int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
  EXPECT(fd >= 0);
  EXPECT(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
  return fd;
}

static int holds(const char *name, const char *content) {
  char bytes[64] = {0};
  int fd = open(name, O_RDONLY);
  ssize_t length = fd < 0 ? -1 : read(fd, bytes, sizeof bytes - 1);
  close(fd);
  return length == (ssize_t)strlen(content) && strcmp(bytes, content) == 0;
}

static void opening(void) {
  FAILS(open("none", O_RDONLY), ENOENT);
  close(file("a", "one"));
  FAILS(open("a", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
  FAILS(open("a/b", O_RDONLY), ENOTDIR);
  FAILS(open(".", O_WRONLY), EISDIR);
  FAILS(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
  EXPECT(symlink("a", "l") == 0);
  FAILS(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
  EXPECT(holds("l", "one"));
  int fd = open("a", O_WRONLY | O_APPEND);
  // Linux appends, whatever the offset (pwrite(2), BUGS).
  EXPECT(pwrite(fd, "two", 3, 0) == 3);
  EXPECT(write(fd, "!", 1) == 1);
  close(fd);
  struct stat status;
  EXPECT(stat("a", &status) == 0 && status.st_size == 7);
  fd = open("a", O_RDONLY);
  FAILS(write(fd, "x", 1), EBADF);
  close(fd);
  EXPECT(unlink("l") == 0 && unlink("a") == 0);
  FAILS(unlink("a"), ENOENT);
}

static void renaming(void) {
  int old = file("a", "old");
  close(file("b", "new"));
  EXPECT(rename("b", "a") == 0 && holds("a", "new"));
  char bytes[4] = {0};
  EXPECT(pread(old, bytes, 3, 0) == 3 && strcmp(bytes, "old") == 0);
  struct stat status;
  EXPECT(fstat(old, &status) == 0 && status.st_nlink == 0);
  close(old);
  EXPECT(mkdir("d", 0755) == 0);
  FAILS(rename("a", "d"), EISDIR);
  FAILS(rename("d", "a"), ENOTDIR);
  FAILS(rename("d", "d/e"), EINVAL);
  EXPECT(mkdir("f", 0755) == 0 && rename("f", "d") == 0);
  close(file("d/x", ""));
  EXPECT(mkdir("f", 0755) == 0);
  FAILS(rename("f", "d"), ENOTEMPTY);
  close(file("c", "other"));
  FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_NOREPLACE), EEXIST);
  FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "c", RENAME_EXCHANGE), EINVAL);
  EXPECT(holds("a", "new") && holds("c", "other"));
  EXPECT(link("a", "h") == 0 && rename("a", "h") == 0 && holds("a", "new") && holds("h", "new"));
  EXPECT(unlink("a") == 0 && unlink("h") == 0 && unlink("c") == 0 && unlink("d/x") == 0);
  FAILS(unlink("d"), EISDIR);
  FAILS(rmdir("none"), ENOENT);
  EXPECT(rmdir("d") == 0 && rmdir("f") == 0);
}

static void unlinked(void) {
  int fd = file("a", "early");
  EXPECT(unlink("a") == 0);
  EXPECT(write(fd, " late", 5) == 5 && fsync(fd) == 0);
  char bytes[16] = {0};
  EXPECT(pread(fd, bytes, 15, 0) == 10 && strcmp(bytes, "early late") == 0);
  EXPECT(ftruncate(fd, 5) == 0 && lseek(fd, 0, SEEK_END) == 5);
  EXPECT(fchmod(fd, 0600) == 0);
  struct stat status;
  EXPECT(fstat(fd, &status) == 0 && (status.st_mode & 07777) == 0600);
  close(fd);
  FAILS(stat("a", &status), ENOENT);
}

static void sizes(void) {
  int fd = file("a", "x");
  EXPECT(pwrite(fd, "y", 1, 5000000) == 1);
  struct stat status;
  EXPECT(fstat(fd, &status) == 0 && status.st_size == 5000001);
  // A file system that does not tell of holes is all data, with a hole at its end (lseek(2)).
  EXPECT(lseek(fd, 100, SEEK_DATA) == 100);
  EXPECT(lseek(fd, 100, SEEK_HOLE) == 5000001);
  FAILS(lseek(fd, 6000000, SEEK_DATA), ENXIO);
  FAILS(lseek(fd, 6000000, SEEK_HOLE), ENXIO);
  char byte = 1;
  EXPECT(pread(fd, &byte, 1, 2500000) == 1 && byte == 0);
  EXPECT(pread(fd, &byte, 1, 5000001) == 0);
  // What cannot be reserved is refused, and written by the C library instead.
  FAILS(fallocate(fd, 0, 0, 1 << 20), EOPNOTSUPP);
  FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EOPNOTSUPP);
  EXPECT(posix_fallocate(fd, 5000000, 100000) == 0);
  EXPECT(fstat(fd, &status) == 0 && status.st_size == 5100000);
  EXPECT(pread(fd, &byte, 1, 5000000) == 1 && byte == 'y');
  EXPECT(ftruncate(fd, 3) == 0 && ftruncate(fd, 10) == 0);
  char bytes[10];
  EXPECT(pread(fd, bytes, 10, 0) == 10 && memcmp(bytes, "x\0\0\0\0\0\0\0\0\0", 10) == 0);
  struct iovec parts[2] = {{"ab", 2}, {"cd", 2}};
  EXPECT(pwritev(fd, parts, 2, 8) == 4 && fstat(fd, &status) == 0 && status.st_size == 12);
  EXPECT(copy_file_range(fd, &(off_t){8}, fd, &(off_t){100}, 4, 0) == 4);
  EXPECT(pread(fd, bytes, 4, 100) == 4 && memcmp(bytes, "abcd", 4) == 0);
  struct statvfs whole;
  EXPECT(fstatvfs(fd, &whole) == 0 && whole.f_bsize > 0 && whole.f_blocks > 0);
  close(fd);
  EXPECT(unlink("a") == 0);
}

static void mapping(void) {
  int fd = file("a", "0123456789");
  EXPECT(ftruncate(fd, 8192) == 0);
  char *shared = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  EXPECT(shared != MAP_FAILED);
  if (shared == MAP_FAILED) return;
  EXPECT(memcmp(shared, "0123456789", 10) == 0);
  memcpy(shared + 8000, "mapped", 6);
  EXPECT(msync(shared, 8192, MS_SYNC) == 0);
  char bytes[6];
  EXPECT(pread(fd, bytes, 6, 8000) == 6 && memcmp(bytes, "mapped", 6) == 0);
  EXPECT(pwrite(fd, "again", 5, 0) == 5 && memcmp(shared, "again", 5) == 0);
  munmap(shared, 8192);
  close(fd);
  EXPECT(unlink("a") == 0);
}

static void locking(void) {
  int fd = file("a", "x");
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
  EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
  pid_t child = fork();
  if (child == 0) {
    struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 1};
    struct flock apart = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 1};
    int again = open("a", O_RDWR);
    _exit(fcntl(again, F_SETLK, &other) == -1 && fcntl(again, F_SETLK, &apart) == 0 ? 0 : 1);
  }
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  int second = open("a", O_RDONLY);
  EXPECT(flock(fd, LOCK_EX) == 0);
  FAILS(flock(second, LOCK_EX | LOCK_NB), EWOULDBLOCK);
  EXPECT(flock(fd, LOCK_UN) == 0 && flock(second, LOCK_EX | LOCK_NB) == 0);
  close(second);
  close(fd);
  EXPECT(unlink("a") == 0);
}

static void attributes(void) {
  close(file("a", "x"));
  // They are not offered: programs that keep them where there are some go on without.
  FAILS(setxattr("a", "user.one", "1", 1, 0), EOPNOTSUPP);
  char bytes[8];
  FAILS(getxattr("a", "user.one", bytes, 8), EOPNOTSUPP);
  EXPECT(listxattr("a", bytes, 8) == 0 || errno == EOPNOTSUPP);
  struct timespec times[2] = {{1000000000, 5000000}, {1234567890, 250000000}};
  EXPECT(utimensat(AT_FDCWD, "a", times, 0) == 0);
  struct stat status;
  EXPECT(stat("a", &status) == 0 && status.st_atim.tv_sec == 1000000000);
  EXPECT(status.st_mtim.tv_sec == 1234567890 && labs(status.st_mtim.tv_nsec - 250000000) < 1000);
  EXPECT(symlink("a", "l") == 0 && utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW) == 0);
  EXPECT(lstat("l", &status) == 0 && S_ISLNK(status.st_mode) && status.st_mtim.tv_sec == 1234567890);
  EXPECT(chmod("a", 0) == 0 && stat("a", &status) == 0 && (status.st_mode & 07777) == 0);
  EXPECT(linkat(AT_FDCWD, "a", AT_FDCWD, "h", 0) == 0 && stat("h", &status) == 0 && status.st_nlink == 2);
  FAILS(mkfifo("fifo", 0600), EPERM);
  EXPECT(unlink("a") == 0 && unlink("h") == 0 && unlink("l") == 0);
}

static void permissions(void) {
  EXPECT(mkdir("closed", 0700) == 0);
  close(file("closed/a", "x"));
  close(file("mine", "x"));
  EXPECT(chmod("mine", 0600) == 0);
  pid_t child = fork();
  if (child == 0) {
    if (setgid(1000) != 0 || setuid(1000) != 0) _exit(9);
    FAILS(open("closed/a", O_RDONLY), EACCES);
    FAILS(open("mine", O_RDONLY), EACCES);
    FAILS(unlink("mine"), EACCES);
    FAILS(chmod("mine", 0777), EPERM);
    _exit(failures == 0 ? 0 : 1);
  }
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && status == 0);
  EXPECT(unlink("closed/a") == 0 && rmdir("closed") == 0 && unlink("mine") == 0);
}

static void directories(void) {
  EXPECT(mkdir("many", 0755) == 0);
  char name[300];
  for (int i = 0; i < 500; i++) {
    snprintf(name, sizeof name, "many/%0*d", 1 + i % 240, i);
    close(file(name, ""));
  }
  // Each name comes once, although those that were read go meanwhile.
  DIR *directory = opendir("many");
  int seen = 0;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    EXPECT(entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
    snprintf(name, sizeof name, "many/%s", entry->d_name);
    EXPECT(unlink(name) == 0);
    seen++;
  }
  EXPECT(seen == 500);
  rewinddir(directory);
  int left = 0;
  while (readdir(directory) != NULL) left++;
  EXPECT(left == 2);
  closedir(directory);
  int fd = open("many", O_RDONLY | O_DIRECTORY);
  EXPECT(mkdirat(fd, "below", 0755) == 0);
  FAILS(rmdir("many"), ENOTEMPTY);
  EXPECT(unlinkat(fd, "below", AT_REMOVEDIR) == 0 && fsync(fd) == 0);
  close(fd);
  EXPECT(rmdir("many") == 0);
}

int main(int count, char **words) {
  if (count != 2 || chdir(words[1]) != 0) return 99;
  umask(022);
  setvbuf(stdout, NULL, _IONBF, 0);
  opening();
  renaming();
  unlinked();
  sizes();
  mapping();
  locking();
  attributes();
  permissions();
  directories();
  printf("%d\n", failures);
  return failures != 0;
}
