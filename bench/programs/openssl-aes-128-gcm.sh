. ./openssl.inc
measure -bytes 8192 -evp aes-128-gcm
