# Work on a shared folder, for a shell in image `tiny`: prints what is done, then the time it took.
#   guesthouse run tiny --memory 1G --share DIR:data -- sh -c "$(cat benchmarks/shares.sh)"
# QEMU gets it typed into the shell on its console, with -m 1G and
#   -fsdev local,id=fs,path=DIR,security_model=none,multidevs=remap -device virtio-9p-device,fsdev=fs,mount_tag=data
mkdir -p /mnt/d; mount -t 9p -o trans=virtio,version=9p2000.L data /mnt/d; cd /mnt/d; rm -rf m; mkdir m; cd m
echo warm; i=0; while [ $i -lt 300 ]; do : >w$i; i=$((i+1)); done; rm -r ../m/*
for r in 1 2; do
echo CREATE; time sh -c 'i=0; while [ $i -lt 1000 ]; do : >f$i; i=$((i+1)); done'
echo LS; time ls -l >/dev/null
echo STAT; time find . -size +1k
echo RM; time rm -r ../m/*
done
cd ..
echo W1 ; time sh -c "dd if=/dev/zero of=big bs=1M count=64 2>/dev/null"
echo R1 ; time sh -c "dd if=big of=/dev/null bs=1M 2>/dev/null"
echo R2 ; time sh -c "dd if=big of=/dev/null bs=1M 2>/dev/null"
echo W2 ; time sh -c "dd if=/dev/zero of=big bs=1M count=64 2>/dev/null"
echo R3 ; time sh -c "cat big > /dev/null"
rm big; cd /; umount /mnt/d
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=512000 data /mnt/d; cd /mnt/d
echo LW1 ; time sh -c "dd if=/dev/zero of=big bs=1M count=128 2>/dev/null; sync"
cd /; umount /mnt/d; mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=512000 data /mnt/d; cd /mnt/d
echo LR1 ; time sh -c "cat big > /dev/null"
echo LW2 ; time sh -c "dd if=/dev/zero of=big2 bs=1M count=128 2>/dev/null; sync"
cd /; umount /mnt/d; mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=512000 data /mnt/d; cd /mnt/d
echo LR2 ; time sh -c "cat big2 > /dev/null"
rm big big2
