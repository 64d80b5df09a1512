// Stands between a process and the kernel, and lets a named pipe pass for a v4l2loopback device.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct v4l2_pix_format format;

static int is_device(int descriptor) {
    const char *path = getenv("FAKE_LOOPBACK");
    struct stat one, other;
    return path && !fstat(descriptor, &one) && !stat(path, &other) &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static int answer(unsigned long number, void *data) {
    if (number == VIDIOC_QUERYCAP) {
        struct v4l2_capability *told = data;
        memset(told, 0, sizeof *told);
        strcpy((char *)told->driver, "v4l2 loopback");
        strcpy((char *)told->card, "humanseg");
        told->capabilities = V4L2_CAP_READWRITE |
            (getenv("FAKE_FED") ? V4L2_CAP_VIDEO_CAPTURE : V4L2_CAP_VIDEO_OUTPUT);
        return 0;
    }
    if (number == VIDIOC_S_FMT || number == VIDIOC_G_FMT) {
        struct v4l2_format *told = data;
        const char *kept = getenv("FAKE_KEPT");
        // As the real one does while somebody reads: it agrees, and keeps its format.
        if (kept && sscanf(kept, "%ux%u", &format.width, &format.height) == 2)
            format.pixelformat = V4L2_PIX_FMT_YUV420;
        else if (number == VIDIOC_S_FMT)
            format = told->fmt.pix;
        told->fmt.pix = format;
        return 0;
    }
    errno = ENOTTY;
    return -1;
}

int ioctl(int descriptor, unsigned long number, ...) {
    int (*kernel)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    va_list rest;
    va_start(rest, number);
    void *data = va_arg(rest, void *);
    va_end(rest);
    return is_device(descriptor) ? answer(number, data) : kernel(descriptor, number, data);
}
