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
  BodyNorm input_norm;                          // of the attention's input
  Mlp mlp;
  BodyNorm mlp_norm;  // of the MLP's input; empty where there is no MLP
};

}  // namespace attnlab::model
