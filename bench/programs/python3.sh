exec /usr/bin/python3.11 work.py "$1"
