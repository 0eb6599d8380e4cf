// Quest: every row stays, but a decode query reads only some pages of rows, those whose keys could score highest: per
// page the smallest and the largest key of each channel bound the score. Tang et al. 2024. It saves reads, not memory.
// Each query head chooses for itself. The page of the newest row is always read; the authors' evaluation does not force
// this but never reads fewer than 3 pages. Queries of a prompt read all rows.
#include <limits>
#include <numeric>

#include <attnlab/budget.h>
#include <attnlab/plugin.h>

namespace {

using attnlab::ChunkView;
using attnlab::Feature;
using attnlab::kTileRows;

struct QuestOptions {
  std::int32_t page = 16;
  attnlab::Budget budget = 256;
  std::int32_t dense_layers = 2;

  static constexpr auto fields() {
    using Q = QuestOptions;
    return std::tuple{
        attnlab::field(
            "page", &Q::page,
            {.min = 1, .max = 4096, .unit = "tokens", .doc = "Rows of a page; tiles have gcd(page, 64) rows."}),
        attnlab::field("budget", &Q::budget,
                       {.doc = "Rows a query head reads, in whole pages; below one page one is read."}),
        attnlab::field("dense_layers", &Q::dense_layers,
                       {.min = 0, .doc = "First layers of the model, which read everything."})};
  }
};

struct Ranked {
  double highest;  // score that a key of the page could have
  int page;
};

// Smallest and largest key of every page of one kv head, channel by channel.
class PageBounds {
 public:
  PageBounds(int page, int key_dim) : page_(page), key_dim_(key_dim) {}

  void add(attnlab::TensorView<const float, 1> key) {
    if (rows_++ % page_ == 0) {
      ranking_.emplace_back();
      for (int side = 0; side < 2; ++side)
        for (int i = 0; i < key_dim_; ++i) bounds_.push_back(key[i]);
      return;
    }
    float* smallest = bounds_.data() + bounds_.size() - 2 * key_dim_;
    float* largest = smallest + key_dim_;
    for (int i = 0; i < key_dim_; ++i) {
      smallest[i] = std::min(smallest[i], key[i]);
      largest[i] = std::max(largest[i], key[i]);
    }
  }
  int pages() const noexcept { return static_cast<int>(bounds_.size()) / (2 * key_dim_); }

  // The highest score that a key of the page could have; products of floats are exact in double. query [key_dim].
  double highest(int page, const float* query) const noexcept {
    constexpr int kLanes = 8;  // sums of their own, so that the compiler can use vectors
    const float* smallest = bounds_.data() + static_cast<std::size_t>(page) * 2 * key_dim_;
    const float* largest = smallest + key_dim_;
    const auto best = [&](int i) { return std::max(double{query[i]} * smallest[i], double{query[i]} * largest[i]); };
    double sums[kLanes] = {};
    int channel = 0;
    for (; channel + kLanes <= key_dim_; channel += kLanes)
      for (int lane = 0; lane < kLanes; ++lane) sums[lane] += best(channel + lane);
    double sum = 0;
    for (; channel < key_dim_; ++channel) sum += best(channel);
    return std::accumulate(sums, sums + kLanes, sum);
  }

  // The `count` pages before the newest whose keys could score highest, of equal ones the newer, in no order. Valid
  // until the next call; one thread at a time.
  std::span<const Ranked> best(int count, const float* query) const noexcept {
    const std::span<Ranked> others = std::span(ranking_).first(pages() - 1);
    for (int page = 0; page < pages() - 1; ++page) others[page] = {highest(page, query), page};
    std::ranges::nth_element(others, others.begin() + count, [](const Ranked& a, const Ranked& b) {
      return a.highest != b.highest ? a.highest > b.highest : a.page > b.page;
    });
    return others.first(count);
  }

  void clear() {
    rows_ = 0;
    bounds_.clear();
    ranking_.clear();
  }
  std::size_t bytes() const noexcept { return bounds_.size() * sizeof(float) + ranking_.size() * sizeof(Ranked); }
  void save(attnlab::StateWriter& to) const {
    to.put(rows_);
    to.put_all(bounds_);
  }
  void restore(attnlab::StateReader& from) {
    rows_ = from.get<std::int64_t>();
    from.get_all(bounds_);
    ranking_.resize(pages());
  }

 private:
  int page_;
  int key_dim_;
  std::int64_t rows_ = 0;
  std::vector<float> bounds_;            // [pages, 2, key_dim]
  mutable std::vector<Ranked> ranking_;  // [pages]: room for `best`, so that choosing allocates nothing
};

// The rows' own tiles are full except the last one, and the size of a page's tile divides both a page and a full tile,
// so each page's tile lies in one tile of the rows. Where everything is read, the rows' tiles are returned as they are;
// otherwise they are cut into tiles of pages.
class QuestCache final : public attnlab::LayerCache, public attnlab::TileSelector {
 public:
  QuestCache(const QuestOptions& options, const attnlab::LayerCacheContext& context)
      : is_dense_(context.layer < options.dense_layers),
        tile_rows_(std::gcd(options.page, kTileRows)),
        tiles_of_page_(options.page / tile_rows_),
        pages_(options.budget.rows(context, bytes_read(context))),
        shape_(context.shape),
        key_form_(context.key_form),
        rows_(context.make_rows()),
        chooses_(context.sequences) {
    for (int& pages : pages_) pages = std::max(1, pages / options.page);
    if (is_dense_) return;
    bounds_.assign(static_cast<std::size_t>(context.sequences) * shape_.kv_heads,
                   PageBounds(options.page, shape_.key_dim));
  }

  attnlab::KvShape shape() const noexcept override { return shape_; }
  attnlab::KeyForm key_form() const noexcept override { return key_form_; }
  const attnlab::TileSelector* selector() const noexcept override { return is_dense_ ? nullptr : this; }

  void append(const ChunkView& chunk, const attnlab::NewRows& rows) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const int first = chunk.first(sequence);
      const int tokens = chunk.tokens_of(sequence);
      if (tokens == 0) continue;
      rows_->append(sequence, chunk.positions_of(sequence), rows.slice(first, tokens));
      if (is_dense_) continue;
      for (int head = 0; head < shape_.kv_heads; ++head)
        for (int token = first; token < first + tokens; ++token) of(sequence, head).add(rows.keys[token][head]);
      chooses_[sequence] =
          chunk.phases[sequence] == attnlab::Phase::decode && of(sequence, 0).pages() > pages_[sequence];
    }
  }
  void end_chunk(const ChunkView& chunk) override {
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
      if (chunk.ends_prompt_or_step(sequence)) rows_->settle(sequence);
  }
  void clear(int sequence) override {
    rows_->clear(sequence);
    chooses_[sequence] = false;
    if (is_dense_) return;
    for (int head = 0; head < shape_.kv_heads; ++head) of(sequence, head).clear();
  }

  void save(int sequence, attnlab::StateWriter& to) const override {
    rows_->save(sequence, to);
    to.put(chooses_[sequence]);
    if (is_dense_) return;
    for (int head = 0; head < shape_.kv_heads; ++head) bounds_[sequence * shape_.kv_heads + head].save(to);
  }
  void restore(int sequence, attnlab::StateReader& from) override {
    rows_->restore(sequence, from);
    chooses_[sequence] = from.get<char>();
    if (is_dense_) return;
    for (int head = 0; head < shape_.kv_heads; ++head) of(sequence, head).restore(from);
  }
  void fork(int from, int to) override {
    rows_->fork(from, to);
    chooses_[to] = chooses_[from];
    if (is_dense_) return;
    for (int head = 0; head < shape_.kv_heads; ++head) of(to, head) = of(from, head);
  }

  int rows(int sequence, int kv_head) const noexcept override { return rows_->rows(sequence, kv_head); }
  int tiles(int sequence, int kv_head) const noexcept override {
    if (!chooses_[sequence]) return rows_->tiles(sequence, kv_head);
    return (rows_->rows(sequence, kv_head) + tile_rows_ - 1) / tile_rows_;
  }
  attnlab::KvTile tile(int sequence, int kv_head, int index, attnlab::TileScratch& scratch) const noexcept override {
    if (!chooses_[sequence] || tile_rows_ == kTileRows) return rows_->tile(sequence, kv_head, index, scratch);
    const int first = index * tile_rows_;
    const attnlab::KvTile whole = rows_->tile(sequence, kv_head, first / kTileRows, scratch);
    return cut(whole, first % kTileRows, scratch);
  }

  bool selects(const ChunkView& chunk, int sequence) const noexcept override {
    return chooses_[sequence] && chunk.tokens_of(sequence) == 1;
  }
  void select(const attnlab::QueryPlace& place, attnlab::TensorView<const float, 3> queries,
              attnlab::TensorView<std::uint8_t, 3> reads_of_queries) const noexcept override {
    const PageBounds& bounds = bounds_[place.sequence * shape_.kv_heads + place.kv_head];
    const attnlab::TensorView<std::uint8_t, 2> reads = reads_of_queries[0];
    const int current = bounds.pages() - 1;
    const int others = pages_[place.sequence] - 1;  // fewer than there are
    for (std::int64_t member = 0; member < queries.extent(1); ++member) {
      read_page(member, current, reads);
      for (const Ranked& of : bounds.best(others, &queries(0, member, 0))) read_page(member, of.page, reads);
    }
  }

  std::size_t bytes() const noexcept override {
    std::size_t sum = rows_->bytes();
    for (const PageBounds& bounds : bounds_) sum += bounds.bytes();
    return sum;
  }

 private:
  // Every row stays, so bytes are those that a step reads.
  static attnlab::SequenceBytes bytes_read(const attnlab::LayerCacheContext& context) {
    return [row = context.layers * context.shape.kv_heads * context.row_bytes](int rows) { return row * rows; };
  }
  PageBounds& of(int sequence, int head) noexcept { return bounds_[sequence * shape_.kv_heads + head]; }

  void read_page(std::int64_t member, int page, attnlab::TensorView<std::uint8_t, 2> reads) const noexcept {
    const int end = std::min(static_cast<int>(reads.extent(1)), (page + 1) * tiles_of_page_);
    for (int tile = page * tiles_of_page_; tile < end; ++tile) reads(member, tile) = 1;
  }

  attnlab::KvTile cut(const attnlab::KvTile& whole, int first, attnlab::TileScratch& scratch) const noexcept {
    const int rows = std::min(tile_rows_, whole.rows() - first);
    attnlab::KvTile page;
    page.keys = whole.keys.slice(first, rows);
    page.values = whole.values.slice(first, rows);
    page.positions = whole.positions.subspan(first, rows);
    if (whole.marks.data() != nullptr) page.marks = whole.marks.slice(first, rows);
    page.query_cap = whole.query_cap;
    page.range = attnlab::PositionRange::of(page.positions);
    // Keys in this layout are read to the width of a full tile, which would go past the end from the middle of a tile.
    if (first > 0 && whole.keys.stride(0) == 1 && whole.keys.stride(1) == kTileRows) {
      float* to = scratch.keys.data();  // where the whole tile may be already: only ever to the left
      for (int channel = 0; channel < shape_.key_dim; ++channel)
        std::copy_n(&page.keys(0, channel), rows, to + channel * kTileRows);
      page.keys = {to, {rows, shape_.key_dim}, {1, kTileRows}};
    }
    return page;
  }

  bool is_dense_;
  int tile_rows_;  // rows of a tile of a page: what divides the page and a full tile
  int tiles_of_page_;
  std::vector<int> pages_;  // [sequences] that a query head reads
  attnlab::KvShape shape_;
  attnlab::KeyForm key_form_;
  std::unique_ptr<attnlab::KvRows> rows_;
  std::vector<char> chooses_;       // [sequences]: whether the newest chunk reads only some of the pages
  std::vector<PageBounds> bounds_;  // [sequences x kv_heads]; none in dense layers
};

class Quest final : public attnlab::CachePolicy {
 public:
  Quest(const QuestOptions& options, const attnlab::CreateContext&) : options_(options) {}
  static attnlab::Traits traits(const QuestOptions&) {
    return {.provides = {Feature::selects_tiles}, .needs = {Feature::kv_rows}, .excludes = {Feature::unrotated_store}};
  }
  std::unique_ptr<attnlab::LayerCache> create(const attnlab::LayerCacheContext& context) const override {
    return std::make_unique<QuestCache>(options_, context);
  }

 private:
  QuestOptions options_;
};

constexpr attnlab::Component<attnlab::CachePolicy> kCache[] = {
    attnlab::component<attnlab::CachePolicy, Quest, QuestOptions>(
        {.id = "quest",
         .summary = "A decode query reads only the pages that could matter; keeps every row, frees nothing.",
         .reference = "arXiv:2406.10774"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "quest", .version = "1.0", .cache = kCache);
