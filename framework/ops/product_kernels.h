// The streaming product: a few tokens times one panel, the panel read once from memory. oneDNN reached 74 % of the
// read bandwidth here, since it packs what is used only once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/element.h"

namespace attnlab {

struct PanelProduct {
  const float* input;  // [tokens, in_dim]
  std::int64_t input_stride;
  int tokens;
  std::int64_t in_dim;
  const std::byte* panel;  // [in_dim, panel_stride], or codes (coded_panel.h)
  ElementType type;
  std::int64_t panel_stride;  // multiple of 16
  float* out;                 // [tokens, outputs]; only `outputs` columns are written
  std::int64_t out_stride;
  int outputs;  // <= panel_stride
};

/// Every output is one sum over the inputs in ascending order, whatever the number of tokens.
void stream_product(const PanelProduct& product);

/// `count` elements of a packed panel as f32; a multiple of 16.
void widen(const std::byte* from, ElementType type, std::int64_t count, float* to);

/// One row as f32, any length.
void widen_row(const std::byte* from, ElementType type, std::span<float> to);

}  // namespace attnlab
