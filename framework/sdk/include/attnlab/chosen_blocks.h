// A mask that a variant makes of what its queries chose: blocks of rows by position (moba, nsa).
#pragma once

#include <cstdint>

#include <attnlab/api.h>
#include <attnlab/scores.h>
#include <attnlab/tensor_view.h>

namespace attnlab {

/// Key j is seen by a query at position i where j <= i and the query's head reads block j / block.
class ATTNLAB_API ChosenBlocks final : public MaskRule {
 public:
  /// reads [tokens, heads, blocks]: not 0 where a head of a token reads the block; it lives as long as the mask.
  ChosenBlocks(int block, TensorView<const std::uint8_t, 3> reads) : block_(block), reads_(reads) {}
  ~ChosenBlocks() override;
  Cover cover(const MaskPlace& place) const noexcept override;
  void mask(ScoreTile& tile) const noexcept override;

 private:
  int block_;
  TensorView<const std::uint8_t, 3> reads_;
};

}  // namespace attnlab
