// Broken on purpose: a stamp, but no table of components.
#include "plugins/broken/parts.h"

extern "C" __attribute__((visibility("default"), used)) constinit const ::attnlab::Stamp attnlab_stamp =
    ::attnlab::make_stamp();
