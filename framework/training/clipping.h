// The norm of all gradients together, and its limit. Sums run over fixed blocks in double precision and are added in
// their order, so that the norm has the same bits for every number of threads.
#pragma once

#include <span>
#include <vector>

#include <attnlab/api.h>

#include "training/element_blocks.h"
#include "training/trained_tensor.h"

namespace attnlab::training {

class ATTNLAB_API Clipping {
 public:
  /// `limit`: the norm that gradients are scaled down to; 0: none. The tensors are those of every later call.
  Clipping(double limit, std::span<const TrainedTensor> tensors);

  /// The 2-norm over all gradients, before they are clipped: where it is above the limit, all of them are multiplied by
  /// limit / norm. Not finite where a gradient is not; nothing is scaled then.
  double clip(std::span<const TrainedTensor> tensors);

 private:
  double limit_;
  std::vector<ElementBlock> blocks_;
  std::vector<double> sums_;  // by block
};

}  // namespace attnlab::training
