i=0
while [ $i -lt "$1" ]; do
  head -c 1000000 text.txt | /usr/bin/xz -2 -c | md5sum
  head -c 1000000 text.txt | /usr/bin/xz -2 -c | /usr/bin/xz -d | md5sum
  i=$((i + 1))
done
