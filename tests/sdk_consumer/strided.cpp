// strided: keeps the newest `recent` rows and, of the older ones, every `stride`-th token. A policy, for the tests of
// the SDK; of no paper.
#include <vector>

#include <attnlab/eviction.h>
#include <attnlab/plugin.h>

namespace {
using namespace attnlab;

struct Options {
  std::int32_t recent = 16;
  std::int32_t stride = 8;

  static constexpr auto fields() {
    return std::tuple{field("recent", &Options::recent, {.min = 1, .unit = "tokens", .doc = "Newest rows that stay."}),
                      field("stride", &Options::stride, {.min = 1, .doc = "Of the others, one in so many stays."})};
  }
};

class Strided final : public EvictionRule {
 public:
  Strided(const Options& options, int kv_heads) : options_(options), kv_heads_(kv_heads) {}
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    if (!chunk.ends_prompt_or_step(sequence)) return;
    const Position oldest_recent = chunk.positions_of(sequence).back() - options_.recent + 1;
    for (int head = 0; head < kv_heads_; ++head) {
      const std::span<const Position> positions = rows.positions(sequence, head);
      std::vector<int> dropped;
      for (std::size_t row = 0; row < positions.size(); ++row)
        if (positions[row] < oldest_recent && positions[row] % options_.stride != 0)
          dropped.push_back(static_cast<int>(row));
      rows.drop(sequence, head, dropped);
    }
  }

 private:
  Options options_;
  int kv_heads_;
};

class Policy final : public CachePolicy {
 public:
  Policy(const Options& options, const CreateContext&) : options_(options) {}
  static Traits traits(const Options&) { return {.provides = {Feature::token_eviction}, .needs = {Feature::kv_rows}}; }
  std::unique_ptr<LayerCache> create(const LayerCacheContext& context) const override {
    return rows_cache(context, std::make_unique<Strided>(options_, context.shape.kv_heads));
  }

 private:
  Options options_;
};

constexpr Component<CachePolicy> kCache[] = {component<CachePolicy, Policy, Options>(
    {.id = "strided", .summary = "The newest rows and every n-th older one.", .reference = "tests of the SDK"})};
}  // namespace

ATTNLAB_PLUGIN(.name = "strided", .version = "1.0", .cache = kCache);
