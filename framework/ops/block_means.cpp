#include <attnlab/block_means.h>

#include <algorithm>

#include <attnlab/ops.h>

namespace attnlab {

TensorView<const float, 3> BlockMeans::of(const LayerContext& layer, int sequence, int blocks) const {
  const std::int64_t floats = 1 + blocks * mean_floats();
  const bool keeps = layer.state.extent(1) >= floats;
  float* kept = keeps ? layer.state.row(sequence).data() : layer.steps.floats(floats).data();
  const int known = keeps ? static_cast<int>(kept[0]) : 0;  // blocks whose means are there
  const TensorView<float, 3> means(kept + 1, {blocks, kv_heads_, width_});
  if (known >= blocks) return means;
  const double read = static_cast<double>((blocks - known) * block_ * mean_floats());
  for_each_index(kv_heads_, read, [&](int head) { add(layer.cache, sequence, head, known, means); });
  kept[0] = static_cast<float>(blocks);
  layer.steps.own_work({.multiply_adds = read, .bytes = sizeof(float) * read});
  return means;
}

// The means of one kv head from block `known` on.
void BlockMeans::add(const KvSource& rows, int sequence, int head, int known, TensorView<float, 3> means) const {
  const auto blocks = static_cast<int>(means.extent(0));
  for (int block = known; block < blocks; ++block) std::fill_n(&means(block, head, 0), width_, 0.0F);
  int missing = (blocks - known) * block_;
  for_each_tile(rows, sequence, head, [&](const KvTile& tile) {
    for (int row = 0; row < tile.rows(); ++row) {
      const int block = tile.positions[row] / block_;
      if (block < known || block >= blocks) continue;
      --missing;
      const auto count = static_cast<float>(block_);
      for (int i = 0; i < key_dim_; ++i) means(block, head, i) += tile.keys(row, i) / count;
      for (int i = key_dim_; i < width_; ++i) means(block, head, i) += tile.values(row, i - key_dim_) / count;
    }
    return missing > 0;
  });
  ATTNLAB_CHECK(missing <= 0, "means of blocks whose rows are not all there");
}

}  // namespace attnlab
