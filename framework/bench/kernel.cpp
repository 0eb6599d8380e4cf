#include "bench/kernel.h"

#include "bench/core_kernel.h"
#include "bench/layer_kernel.h"
#include "bench/position_kernel.h"

namespace attnlab::bench {

std::unique_ptr<Kernel> make_kernel(const Registry& registry, const Entry& entry) {
  if (entry.subject == Subject::core) return make_core_kernel(entry);
  return entry.subject == Subject::position ? make_position_kernel(registry, entry)
                                            : make_layer_kernel(registry, entry);
}

}  // namespace attnlab::bench
