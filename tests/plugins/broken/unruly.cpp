// Policies that break the rules of what they call, or end in every way in which code can end: each is a component, so
// that `attnlab check` finds it with its default options. All act from the third row on.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>

#include "plugins/broken/law_parts.h"

namespace attnlab::broken {
namespace {

enum class Way {
  repeats,
  descends,
  outside,
  negative,
  other_head,
  nan_scores,
  few_scores,
  mixed_entries,
  throws_int,
  throws_error,
  throws_text,
  throws_nested,
  throws_object,
  fails_check,
  unwatched_mass,
};

struct Odd {};

void throw_in_its_way(Way way) {
  if (way == Way::throws_int) throw 42;
  if (way == Way::throws_error) throw std::runtime_error("the rows are sold out");
  if (way == Way::throws_text) throw "no rows today";
  if (way == Way::throws_object) throw Odd{};
  if (way == Way::fails_check) ATTNLAB_CHECK(way != Way::fails_check, "the policy was not told");
  if (way != Way::throws_nested) return;
  try {
    throw std::runtime_error("the cellar is flooded");
  } catch (...) {
    std::throw_with_nested(std::runtime_error("no rows"));
  }
}

template <Way kWay>
class Unruly final : public EvictionRule {
 public:
  Unruly(const LayerCacheContext& context, const NoOptions&) : mass_(context.sequences, context.shape.kv_heads) {}

  MassSink* mass_sink() noexcept override { return kWay == Way::unwatched_mass ? &mass_ : nullptr; }
  void appended(const ChunkView& chunk, TensorView<const float, 3>, TensorView<const float, 3>) override {
    if (kWay != Way::unwatched_mass) return;
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) mass_.count_from(sequence, 0);  // and never grows
  }

  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    const int there = rows.rows(sequence, 0);
    if (!chunk.ends_prompt_or_step(sequence) || there < 3) return;
    throw_in_its_way(kWay);
    const auto drop = [&](std::vector<int> these) { rows.drop(sequence, 0, these); };
    if (kWay == Way::repeats) drop({1, 1});
    if (kWay == Way::descends) drop({2, 0});
    if (kWay == Way::outside) drop({0, there});
    if (kWay == Way::negative) drop({-1});
    if (kWay == Way::other_head) rows.drop(sequence, 1000, {});
    std::vector<double> scores(static_cast<std::size_t>(there));
    const std::span<const Position> positions = rows.positions(sequence, 0);
    if (kWay == Way::nan_scores) {
      scores[1] = std::numeric_limits<double>::quiet_NaN();
      drop(rows_to_drop(scores, positions, there - 1));
    }
    if (kWay == Way::few_scores) {
      scores.pop_back();
      drop(rows_to_drop(scores, positions, there - 1));
    }
    if (kWay == Way::mixed_entries) {
      const int these[] = {2, 0};
      drop_entries(scores, these);
    }
  }

 private:
  RowMass mass_;
};

// A cache of its own around one that keeps all rows.
enum class Ending {
  throws_in_tile,
  segfaults,
  recurses,
  wide_tile,
  empty_numbers,
  lost_rows,
  more_rows,
  reads_nothing,
  hangs_in_clear,
  dawdles_in_clear,
  dies_in_save,
  exits_in_save,
  other_shape
};

// Left to the processor: a sanitizer that reports it while another thread is in the signal's handler stands still.
__attribute__((no_sanitize("thread"), no_sanitize("undefined"))) void write_nowhere() {
  volatile int* volatile nowhere = nullptr;  // which the compiler does not know to be null
  *nowhere = 1;
}

// The thread sanitizer holds back signals from code that calls nothing.
void let_signals_in() {
#if defined(__SANITIZE_THREAD__)
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
#endif
}

int deeper(volatile int* count) {
  volatile int here[256] = {};
  here[*count % 256] = ++*count;
  return *count < 0 ? here[0] : deeper(count) + here[1];
}

template <Ending kEnding>
class Ended final : public LayerCache, public TileSelector {
 public:
  explicit Ended(const LayerCacheContext& context)
      : shape_(context.shape), key_form_(context.key_form), cache_(rows_cache(context, nullptr)) {
    if (kEnding == Ending::other_shape) shape_.key_dim += 1;
  }
  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return key_form_; }
  const TileSelector* selector() const noexcept override { return kEnding == Ending::reads_nothing ? this : nullptr; }
  void select(const QueryPlace&, TensorView<const float, 3>, TensorView<std::uint8_t, 3>) const noexcept override {}

  void append(const ChunkView& chunk, const NewRows& rows) override { cache_->append(chunk, rows); }
  void end_chunk(const ChunkView& chunk) override { cache_->end_chunk(chunk); }
  void clear(int sequence) override {
    if (kEnding == Ending::hangs_in_clear)
      for (volatile bool waits = true; waits;) let_signals_in();
    if (kEnding == Ending::dawdles_in_clear) std::this_thread::sleep_for(std::chrono::seconds(1));
    cache_->clear(sequence);
  }
  int rows(int sequence, int kv_head) const noexcept override {
    const int rows = cache_->rows(sequence, kv_head);
    if (kEnding == Ending::lost_rows && rows > 2) return rows - 1;
    return kEnding == Ending::more_rows && rows > 2 ? rows + 1 : rows;
  }
  int tiles(int sequence, int kv_head) const noexcept override { return cache_->tiles(sequence, kv_head); }

  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    KvTile tile = cache_->tile(sequence, kv_head, index, scratch);
    if (tile.rows() < 3) return tile;
    if (kEnding == Ending::throws_in_tile) throw std::runtime_error("the tile is broken");
    if (kEnding == Ending::segfaults) write_nowhere();
    if (kEnding == Ending::recurses) {
      volatile int count = 0;
      (void)deeper(&count);
    }
    if (kEnding == Ending::empty_numbers) tile.values = {};
    if (kEnding == Ending::wide_tile) {
      static const std::vector<Position> many(100);
      tile.positions = many;
    }
    return tile;
  }
  std::size_t bytes() const noexcept override { return cache_->bytes(); }
  void save(int sequence, StateWriter& to) const override {
    if (kEnding == Ending::dies_in_save) std::raise(SIGSEGV);
    if (kEnding == Ending::exits_in_save) std::_Exit(3);
    cache_->save(sequence, to);
  }
  void restore(int sequence, StateReader& from) override { cache_->restore(sequence, from); }

 private:
  KvShape shape_;
  KeyForm key_form_;
  std::unique_ptr<LayerCache> cache_;
};

// Holds what it has seen, in a budget that no option sets and that only a long prompt fills, and saves nothing.
class Forgetful final : public EvictionRule {
 public:
  Forgetful(const LayerCacheContext& context, const NoOptions&)
      : kv_heads_(context.shape.kv_heads), seen_(context.sequences) {}
  void check(const ChunkView& chunk, int sequence, KvRows& rows) override {
    seen_[sequence] += chunk.tokens_of(sequence);
    if (chunk.ends_prompt_or_step(sequence)) keep_newest(rows, sequence, kv_heads_, 200 + seen_[sequence] % 7);
  }
  void clear(int sequence) override { seen_[sequence] = 0; }

 private:
  int kv_heads_;
  std::vector<int> seen_;  // [sequences]
};

// Says so in bytes(), at least.
class Hoarding final : public EvictionRule {
 public:
  Hoarding(const LayerCacheContext&, const NoOptions&) {}
  void check(const ChunkView& chunk, int, KvRows&) override { seen_.push_back(chunk.tokens()); }
  void clear(int) override { seen_.clear(); }
  std::size_t bytes() const noexcept override { return seen_.size() * sizeof(int); }

 private:
  std::vector<int> seen_;
};

template <Ending kEnding>
class EndedPolicy final : public CachePolicy {
 public:
  EndedPolicy(const NoOptions&, const CreateContext&) {}
  static Traits traits(const NoOptions&) { return {.needs = {Feature::kv_rows}}; }
  std::unique_ptr<LayerCache> create(const LayerCacheContext& context) const override {
    return std::make_unique<Ended<kEnding>>(context);
  }
};

template <Way kWay>
constexpr Component<CachePolicy> unruly(std::string_view id) {
  return component<CachePolicy, RuledCache<Unruly<kWay>>>(broken_info(id));
}
template <Ending kEnding>
constexpr Component<CachePolicy> ended(std::string_view id) {
  return component<CachePolicy, EndedPolicy<kEnding>>(broken_info(id));
}

constexpr Component<CachePolicy> kBroken[] = {unruly<Way::repeats>("repeats"),
                                              unruly<Way::descends>("descends"),
                                              unruly<Way::outside>("outside"),
                                              unruly<Way::negative>("negative"),
                                              unruly<Way::other_head>("other_head"),
                                              unruly<Way::nan_scores>("nan_scores"),
                                              unruly<Way::few_scores>("few_scores"),
                                              unruly<Way::mixed_entries>("mixed_entries"),
                                              unruly<Way::throws_int>("throws_int"),
                                              unruly<Way::throws_error>("throws_error"),
                                              unruly<Way::throws_text>("throws_text"),
                                              unruly<Way::throws_nested>("throws_nested"),
                                              unruly<Way::throws_object>("throws_object"),
                                              unruly<Way::fails_check>("fails_check"),
                                              unruly<Way::unwatched_mass>("unwatched_mass"),
                                              ended<Ending::throws_in_tile>("throws_in_tile"),
                                              ended<Ending::segfaults>("segfaults"),
                                              ended<Ending::recurses>("recurses"),
                                              ended<Ending::wide_tile>("wide_tile"),
                                              ended<Ending::empty_numbers>("empty_numbers"),
                                              ended<Ending::lost_rows>("lost_rows"),
                                              ended<Ending::more_rows>("more_rows"),
                                              ended<Ending::reads_nothing>("reads_nothing"),
                                              ended<Ending::hangs_in_clear>("hangs_in_clear"),
                                              ended<Ending::dawdles_in_clear>("dawdles_in_clear"),
                                              ended<Ending::dies_in_save>("dies_in_save"),
                                              ended<Ending::exits_in_save>("exits_in_save"),
                                              ended<Ending::other_shape>("other_shape"),
                                              component<CachePolicy, RuledCache<Forgetful>>(broken_info("forgetful")),
                                              component<CachePolicy, RuledCache<Hoarding>>(broken_info("hoarding"))};

}  // namespace
}  // namespace attnlab::broken

ATTNLAB_PLUGIN(.name = "unruly", .version = "1.0", .cache = attnlab::broken::kBroken);
