i=0
while [ $i -lt "$1" ]; do
  /usr/bin/gzip -6 -n -c text.txt | md5sum
  /usr/bin/gzip -6 -n -c text.txt | /usr/bin/gzip -d | md5sum
  i=$((i + 1))
done
