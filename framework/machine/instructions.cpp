#include "machine/instructions.h"

#include "ops/onednn_product.h"

namespace attnlab::experiment {

bool multiplies_bf16() {
  return has_bf16_products();
}

}  // namespace attnlab::experiment
