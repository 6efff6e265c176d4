/* stream.h: a stream in memory for ivf_save_stream and ivf_load_stream. */
#ifndef STREAM_H
#define STREAM_H

#include "fixture.h"

/* A stream in memory, read at most seven bytes at a time. */
typedef struct stream {
    bytes all;
    uint64_t room, at;
} stream;

static inline int32_t write_stream(const void *data, uint64_t size, void *user_data)
{
    stream *to = (stream *)user_data;
    if (to->all.size + size > to->room)
        return 1;
    memcpy(to->all.data + to->all.size, data, (size_t)size);
    to->all.size += size;
    return 0;
}

static inline int64_t read_stream(void *buffer, uint64_t size, void *user_data)
{
    stream *from = (stream *)user_data;
    const uint64_t left = from->all.size - from->at, most = size < 7 ? size : 7;
    const uint64_t count = left < most ? left : most;
    memcpy(buffer, from->all.data + from->at, (size_t)count);
    from->at += count;
    return (int64_t)count;
}

#endif
