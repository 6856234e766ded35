# Runs and times programs: "name:count name:count …" are the arguments. Each has a script of its own, NAME.sh,
# which does its work `count` times over and prints what came out; "0" prepares, outside of the time. A script
# whose amount of work is not known before leaves it in the file "work".
for test in "$@"; do
  name=${test%:*}
  sh "./$name.sh" 0 >/dev/null 2>errors
  rm -f work
  echo
  echo "@start $name"
  if sh "./$name.sh" "${test#*:}" >output 2>errors; then
    sum=$(md5sum <output)
    echo
    echo "@end $name ${sum%% *} $(cat work 2>/dev/null)"
  else
    echo
    echo "@exception $name failed: $(tail -n 3 errors)"
  fi
done
