// Cache policies and their caches as the host calls them; see guarded.h.
#include <fmt/format.h>

#include <deque>
#include <limits>
#include <utility>
#include <vector>

#include "registry/guarded.h"
#include "registry/guarded_hooks.h"

namespace attnlab {
namespace {

constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::max();

// What is wrong with the numbers of one side of a tile, [rows, width]; null: nothing.
const char* numbers_fault(const TensorView<const float, 2>& numbers, const CodedRows& codes, bool takes_codes, int rows,
                          int width) {
  if (!codes.empty()) {
    if (!takes_codes) return "codes where the reader takes none";
    if (codes.bf16 != nullptr) return nullptr;
    if (codes.scales == nullptr || (codes.nibbles != nullptr && codes.minima == nullptr)) return "codes without scales";
    const bool is_whole =
        codes.nibbles == nullptr || (codes.group > 0 && codes.group % 32 == 0 && width % codes.group == 0);
    return is_whole ? nullptr : "4-bit codes whose groups do not divide the width";
  }
  if (numbers.data() == nullptr) return "no numbers";
  return numbers.extent(0) < rows || numbers.extent(1) != width ? "another shape than [rows, width]" : nullptr;
}

class GuardedCache final : public LayerCache {
 public:
  GuardedCache(Callee& callee, const LayerCacheContext& context, std::unique_ptr<LayerCache> inner)
      : callee_(callee),
        inner_(std::move(inner)),
        shape_(context.shape),
        key_form_(context.key_form),
        fed_(context.sequences),
        appended_(context.sequences),
        mass_sink_(callee),
        query_sink_(callee),
        selector_(callee) {
    for (int sequence = 0; sequence < context.sequences; ++sequence) visibility_.emplace_back(callee);
  }

  KvShape shape() const noexcept override { return shape_; }
  KeyForm key_form() const noexcept override { return key_form_; }
  const MaskRule* visibility(int sequence) const noexcept override {
    const PluginCall call(callee_, "visibility");
    return visibility_[sequence].follow(inner_->visibility(sequence));
  }
  MassSink* mass_sink() const noexcept override {
    const PluginCall call(callee_, "mass_sink");
    return mass_sink_.follow(inner_->mass_sink());
  }
  QuerySink* query_sink() const noexcept override {
    const PluginCall call(callee_, "query_sink");
    return query_sink_.follow(inner_->query_sink());
  }
  const TileSelector* selector() const noexcept override {
    const PluginCall call(callee_, "selector");
    return selector_.follow(inner_->selector());
  }

  void append(const ChunkView& chunk, const NewRows& rows) override {
    check_appended(chunk, rows);
    call_plugin(callee_, "append", [&] { inner_->append(chunk, rows); });
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      appended_[sequence] += chunk.tokens_of(sequence);
      if (fed_[sequence] != kUnknown) fed_[sequence] += chunk.tokens_of(sequence);
    }
  }

  void end_chunk(const ChunkView& chunk) override {
    check_forward(chunk);
    call_plugin(callee_, "end_chunk", [&] { inner_->end_chunk(chunk); });
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
      if (chunk.tokens_of(sequence) > 0) check_rows(sequence);
  }

  void clear(int sequence) override {
    fed_[sequence] = appended_[sequence] = 0;
    call_plugin(callee_, "clear", [&] { inner_->clear(sequence); });
  }
  int rows(int sequence, int kv_head) const noexcept override {
    const PluginCall call(callee_, "rows");
    return inner_->rows(sequence, kv_head);
  }
  int row_limit(int sequence, int length) const noexcept override {
    const PluginCall call(callee_, "row_limit");
    const int limit = inner_->row_limit(sequence, length);
    if (limit >= 0 && limit <= length) return limit;
    note_broken_rule(fmt::format("{} rows at most of a sequence of {} tokens", limit, length));
    return length;
  }
  int tiles(int sequence, int kv_head) const noexcept override {
    const PluginCall call(callee_, "tiles");
    const int tiles = inner_->tiles(sequence, kv_head);
    if (tiles >= 0) return tiles;
    note_broken_rule(fmt::format("there are {} tiles", tiles));
    return 0;
  }
  KvTile tile(int sequence, int kv_head, int index, TileScratch& scratch) const noexcept override {
    const PluginCall call(callee_, "tile");
    KvTile tile = inner_->tile(sequence, kv_head, index, scratch);
    if (const char* fault = tile_fault(tile, scratch.takes_codes)) {
      note_broken_rule(fmt::format("tile {} of {} rows (sequence {}, kv head {}): {}", index, tile.positions.size(),
                                   sequence, kv_head, fault));
      tile = {};
    }
    return tile;
  }
  std::size_t bytes() const noexcept override {
    const PluginCall call(callee_, "bytes");
    return inner_->bytes();
  }
  void save(int sequence, StateWriter& to) const override {
    call_plugin(callee_, "save", [&] { inner_->save(sequence, to); });
  }
  void restore(int sequence, StateReader& from) override {
    fed_[sequence] = kUnknown;
    appended_[sequence] = 0;
    call_plugin(callee_, "restore", [&] { inner_->restore(sequence, from); });
  }
  void truncate(int sequence, Position length) override {
    call_plugin(callee_, "LayerCache::truncate", [&] { inner_->truncate(sequence, length); });
    if (fed_[sequence] != kUnknown) fed_[sequence] = std::min<std::int64_t>(fed_[sequence], length);
    appended_[sequence] = 0;
    check_rows(sequence);
  }
  void fork(int from, int to) override {
    call_plugin(callee_, "fork", [&] { inner_->fork(from, to); });
    fed_[to] = fed_[from];
    appended_[to] = 0;
    check_rows(to);
  }

 private:
  // What the attention passes, said of the attention: it is its call that is running.
  void check_appended(const ChunkView& chunk, const NewRows& rows) const {
    const auto wants = [&](const char* name, const TensorView<const float, 3>& of, int width) {
      if (of.extent(0) == chunk.tokens() && of.extent(1) == shape_.kv_heads && of.extent(2) == width) return;
      broken_rule(
          fmt::format("it appends {} [{}, {}, {}] to a cache", name, of.extent(0), of.extent(1), of.extent(2)),
          fmt::format("[tokens, kv_heads, width] is [{}, {}, {}] here", chunk.tokens(), shape_.kv_heads, width));
    };
    if (chunk.sequences() != static_cast<int>(fed_.size()))
      broken_rule(fmt::format("a chunk of {} sequences for a cache of {}", chunk.sequences(), fed_.size()));
    wants("keys", rows.keys, shape_.key_dim);
    if (!shape_.value_is_key_prefix) wants("values", rows.values, shape_.value_dim);
    const std::int64_t marks = std::int64_t{chunk.tokens()} * shape_.kv_heads * shape_.marks;
    if (static_cast<std::int64_t>(rows.marks.size()) != marks)
      broken_rule(fmt::format("it appends {} marks to a cache", rows.marks.size()),
                  fmt::format("[tokens, kv_heads, marks] are {} here", marks));
  }

  // Every token of the chunk was appended, once: else queries were answered from rows of other tokens.
  void check_forward(const ChunkView& chunk) {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const std::int64_t appended = std::exchange(appended_[sequence], 0);
      if (shape_.kv_heads == 0 || appended == chunk.tokens_of(sequence) || last_attention() == nullptr) continue;
      broken_rule_of(*last_attention(), "forward",
                     fmt::format("it appended {} rows of sequence {} in a chunk of {} tokens", appended, sequence,
                                 chunk.tokens_of(sequence)),
                     "append every token of the chunk once");
    }
  }

  void check_rows(int sequence) const {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const int live = rows(sequence, head);
      if (live < 0 || live > fed_[sequence])
        broken_rule_of(
            callee_, "rows",
            fmt::format("kv head {} of sequence {} has {} rows after {} tokens", head, sequence, live, fed_[sequence]));
      if (CarefulCalls::are_on()) check_tiles(sequence, head, live);
    }
    callee_.throw_noted_fault();
  }

  // The rows of the tiles are the rows that live, at positions that were fed.
  void check_tiles(int sequence, int head, int live) const {
    std::int64_t rows = 0;
    int index = tiles(sequence, head);
    for_each_tile(*this, sequence, head, [&](const KvTile& tile) {
      --index;
      rows += tile.rows();
      for (const Position position : tile.positions)
        if (position < 0 || position >= fed_[sequence] || position < tile.range.first || position > tile.range.last)
          broken_rule_of(callee_, "tile",
                         fmt::format("tile {} has a row at position {} in a range of {} to {}, after {} tokens", index,
                                     position, tile.range.first, tile.range.last, fed_[sequence]));
      return true;
    });
    callee_.throw_noted_fault();
    if (rows != live)
      broken_rule_of(callee_, "tile",
                     fmt::format("the tiles of kv head {} of sequence {} hold {} rows, of {} that live", head, sequence,
                                 rows, live));
  }

  // Null: nothing is wrong.
  const char* tile_fault(const KvTile& tile, bool takes_codes) const noexcept {
    const auto rows = tile.positions.size();
    if (rows == 0) return nullptr;
    if (rows > static_cast<std::size_t>(kTileRows)) return "a tile has at most 64 rows";
    const int count = static_cast<int>(rows);
    if (const char* fault = numbers_fault(tile.keys, tile.key_codes, takes_codes, count, shape_.key_dim)) return fault;
    if (const char* fault = numbers_fault(tile.values, tile.value_codes, takes_codes, count, shape_.value_dim))
      return fault;
    if (tile.value_codes.empty() && tile.values.stride(1) != 1) return "the rows of values are not dense";
    if (shape_.marks > 0 && (tile.marks.extent(0) < count || tile.marks.extent(1) != shape_.marks))
      return "no marks for its rows";
    return nullptr;
  }

  Callee& callee_;
  std::unique_ptr<LayerCache> inner_;
  KvShape shape_;
  KeyForm key_form_;
  std::vector<std::int64_t> fed_;               // [sequences] tokens since it was empty
  std::vector<std::int64_t> appended_;          // [sequences] tokens since the last chunk ended
  mutable std::deque<GuardedMask> visibility_;  // [sequences]
  mutable GuardedMassSink mass_sink_;
  mutable GuardedQuerySink query_sink_;
  mutable GuardedSelector selector_;
};

class GuardedPolicy final : public CachePolicy {
 public:
  GuardedPolicy(Callee& callee, std::unique_ptr<CachePolicy> inner) : callee_(callee), inner_(std::move(inner)) {}

  std::vector<ParameterSpec> parameters() const override { return declared_parameters(callee_, *inner_); }
  void bind(const ParameterSet& parameters) override {
    call_plugin(callee_, "bind", [&] { inner_->bind(parameters); });
  }
  std::unique_ptr<LayerCache> create(const LayerCacheContext& context) const override {
    auto made = call_plugin(callee_, "create", [&] { return inner_->create(context); });
    if (made == nullptr) broken_rule_of(callee_, "create", "it made no cache", "create() must not return null");
    const KvShape shape = made->shape();
    if (shape.kv_heads != context.shape.kv_heads || shape.key_dim != context.shape.key_dim ||
        shape.value_dim != context.shape.value_dim || made->key_form() != context.key_form)
      broken_rule_of(callee_, "create", "the cache has another shape or another form of keys than it was asked for",
                     "shape() and key_form() are those of the context");
    return std::make_unique<GuardedCache>(callee_, context, std::move(made));
  }

 private:
  Callee& callee_;
  std::unique_ptr<CachePolicy> inner_;
};

}  // namespace

std::unique_ptr<CachePolicy> guarded(Callee& callee, std::unique_ptr<CachePolicy> policy) {
  return std::make_unique<GuardedPolicy>(callee, std::move(policy));
}

}  // namespace attnlab
