// What a decoder is made of, for the files that its functions are spread over.
#pragma once

#include <memory>
#include <vector>

#include "model/decoder.h"
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
  std::unique_ptr<Matrix> gate, up, down;
  std::vector<float> gate_bias, up_bias, down_bias;
  std::vector<float> input_norm, post_attention_norm;
};

}  // namespace attnlab::model
