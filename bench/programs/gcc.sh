gcc=/usr/bin/aarch64-linux-gnu-gcc-12
[ -x $gcc ] && [ "$(uname -m)" = aarch64 ] || gcc=/usr/bin/gcc
if [ "$1" = 0 ]; then
  echo 'int main(void) { return 0; }' >small.c
  exec $gcc -O2 -c small.c -o small.o
fi
i=0
while [ $i -lt "$1" ]; do
  $gcc -O2 -c large.c -o large.o || exit 1
  md5sum <large.o
  i=$((i + 1))
done
