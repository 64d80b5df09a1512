// Stands between a process and the kernel, and lets an ordinary file pass for a webcam.
//
// Its driver has the habits of many: JPEG at all sizes and 30 a second, YUYV large at 10 a second
// only, a format that resets the size, and pictures stamped when they were taken.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLOT (4 << 20)
#define SLOTS 8
#define AGE_MS 12  // of a picture when it is handed over

static int width = 640, height = 480, code = V4L2_PIX_FMT_YUYV, queue[64], head, tail, count;
static int is_streaming;
static double next_at;

static int is_device(int descriptor) {
    const char *path = getenv("FAKE_WEBCAM");
    struct stat one, other;
    return path && !fstat(descriptor, &one) && !stat(path, &other) &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static int says(const char *word) {
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", getenv("FAKE_WEBCAM"), word);
    return !access(path, F_OK);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int rate(void) {
    return code == V4L2_PIX_FMT_YUYV && width > 640 ? 10 : 30;
}

static int refuse(int error) {
    errno = error;
    return -1;
}

static size_t draw(int descriptor, int slot) {
    size_t used = (size_t)width * height * 2;
    char *memory = mmap(NULL, SLOT, PROT_WRITE, MAP_SHARED, descriptor, (off_t)slot * SLOT);
    if (code == V4L2_PIX_FMT_MJPEG) {
        char path[4096];
        snprintf(path, sizeof path, "%s.%dx%d.jpg", getenv("FAKE_WEBCAM"), width, height);
        int file = open(path, O_RDONLY);
        used = read(file, memory, SLOT);
        close(file);
    } else {
        for (size_t index = 0; index < used; index += 2) {
            memory[index] = 16 + count % 200;
            memory[index + 1] = (char)128;
        }
    }
    munmap(memory, SLOT);
    return used;
}

static int give(int descriptor, struct v4l2_buffer *buffer) {
    if (head == tail)
        return refuse(EAGAIN);
    double wait = next_at - now();
    if (wait > 0)
        usleep((useconds_t)(wait * 1e6));
    double taken = now() - AGE_MS / 1e3;
    next_at = (next_at > now() - 1 ? next_at : now()) + 1.0 / rate();
    buffer->index = queue[head++ % 64];
    buffer->length = SLOT;
    buffer->m.offset = buffer->index * SLOT;
    buffer->bytesused = draw(descriptor, buffer->index);
    buffer->sequence = count++;
    buffer->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    buffer->timestamp.tv_sec = (long)taken;
    buffer->timestamp.tv_usec = (long)((taken - (long)taken) * 1e6);
    return 0;
}

static int answer(int descriptor, unsigned long number, void *data) {
    struct v4l2_capability *able = data;
    struct v4l2_format *format = data;
    struct v4l2_requestbuffers *request = data;
    struct v4l2_buffer *buffer = data;
    struct v4l2_streamparm *stream = data;
    if (says("gone"))
        return refuse(ENODEV);
    if (number == VIDIOC_DQBUF && says("stalled"))
        return refuse(EAGAIN);
    switch (number) {
    case VIDIOC_QUERYCAP:
        memset(able, 0, sizeof *able);
        strcpy((char *)able->driver, "uvcvideo");
        strcpy((char *)able->card, "Double of a webcam");
        able->capabilities = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
        return 0;
    case VIDIOC_S_FMT:
    case VIDIOC_TRY_FMT:
        if (format->fmt.pix.pixelformat != V4L2_PIX_FMT_MJPEG &&
            format->fmt.pix.pixelformat != V4L2_PIX_FMT_YUYV)
            return refuse(EINVAL);
        if (format->fmt.pix.width == 1280 && format->fmt.pix.height == 720)
            width = 1280, height = 720;
        else
            width = 640, height = 480;
        if ((int)format->fmt.pix.pixelformat != code)
            width = 640, height = 480;
        code = format->fmt.pix.pixelformat;
        // fall through
    case VIDIOC_G_FMT:
        format->fmt.pix.width = width;
        format->fmt.pix.height = height;
        format->fmt.pix.pixelformat = code;
        format->fmt.pix.field = V4L2_FIELD_NONE;
        format->fmt.pix.bytesperline = code == V4L2_PIX_FMT_YUYV ? width * 2 : 0;
        format->fmt.pix.sizeimage = width * height * 2;
        return 0;
    case VIDIOC_S_PARM:
    case VIDIOC_G_PARM:
        stream->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        stream->parm.capture.timeperframe.numerator = 1;
        stream->parm.capture.timeperframe.denominator = rate();
        return 0;
    case VIDIOC_REQBUFS:
        if (says("busy"))
            return refuse(EBUSY);
        if (request->memory != V4L2_MEMORY_MMAP)
            return refuse(EINVAL);
        if (request->count > SLOTS)
            request->count = SLOTS;
        head = tail = 0;
        return 0;
    case VIDIOC_QUERYBUF:
        buffer->length = SLOT;
        buffer->m.offset = buffer->index * SLOT;
        return 0;
    case VIDIOC_QBUF:
        queue[tail++ % 64] = buffer->index;
        return 0;
    case VIDIOC_DQBUF:
        return is_streaming ? give(descriptor, buffer) : refuse(EINVAL);
    case VIDIOC_STREAMON:
        is_streaming = 1;
        next_at = now();
        return 0;
    case VIDIOC_STREAMOFF:
        is_streaming = 0;
        head = tail = 0;
        return 0;
    }
    return refuse(ENOTTY);
}

int ioctl(int descriptor, unsigned long number, ...) {
    int (*kernel)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    va_list rest;
    va_start(rest, number);
    void *data = va_arg(rest, void *);
    va_end(rest);
    return is_device(descriptor) ? answer(descriptor, number & 0xFFFFFFFF, data)
                                 : kernel(descriptor, number, data);
}

// A file is always ready to be read; a webcam that has stalled is not.
int select(int count, fd_set *reading, fd_set *writing, fd_set *failing, struct timeval *limit) {
    int (*kernel)(int, fd_set *, fd_set *, fd_set *, struct timeval *) = dlsym(RTLD_NEXT, "select");
    for (int descriptor = 0; reading && limit && descriptor < count; descriptor++) {
        if (FD_ISSET(descriptor, reading) && is_device(descriptor) && says("stalled")) {
            char path[4096];
            snprintf(path, sizeof path, "%s.waited", getenv("FAKE_WEBCAM"));
            FILE *file = fopen(path, "w");
            fprintf(file, "%ld", limit->tv_sec);
            fclose(file);
            usleep(100000);  // in the place of all these seconds
            return 0;
        }
    }
    return kernel(count, reading, writing, failing, limit);
}
