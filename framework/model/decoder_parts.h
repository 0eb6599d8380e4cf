// What a decoder is made of, for the files that its functions are spread over.
#pragma once

#include <memory>
#include <vector>

#include "model/decoder.h"
#include "model/experts.h"
#include "model/parameters.h"
#include "steps/direct_steps.h"

namespace attnlab::model {

// Working memory, sized by the first calls, and what works in it.
struct Decoder::Work {
  Scratch scratch;
  DirectSteps steps{scratch};
  ModelSteps* others = nullptr;  // in place of these

  [[nodiscard]] ModelSteps& current() noexcept { return others != nullptr ? *others : steps; }
};

struct Decoder::Layer {
  LayerComponents components;
  int kv_layer = 0;                             // whose rows it reads; its own index where they are its own
  bool ends_rows = true;                        // no later layer reads them
  std::unique_ptr<BoundParameters> parameters;  // of the components
  LayerNorms norms;
  Mlp mlp;  // one of the two, or none
  Experts experts;

  [[nodiscard]] bool has_mlp() const noexcept { return mlp.is_there() || experts.is_there(); }
  void run_mlp(ModelSteps& steps, TensorView<const float, 2> input, TensorView<float, 2> inner,
               TensorView<float, 2> out) const {
    if (experts.is_there()) return experts.run(steps, input, out);
    mlp.run(steps, input, inner, out);
  }
};

}  // namespace attnlab::model
