// Linear attention: the softmax is replaced by a product of features f(q).f(k), f = elu + 1, so that all keys and
// values of the past fit in one matrix per kv head, and memory does not grow with the sequence. Katharopoulos et al.
// 2020. Recurrent where a sequence gets one token; else in blocks: tokens before a block are read through the state,
// tokens inside it by masked products. Not here: decay or gates (the state never forgets), cached rows, a scale of the
// scores.
#include <algorithm>
#include <cmath>

#include <attnlab/head_projections.h>
#include <attnlab/ops.h>
#include <attnlab/plugin.h>
#include <attnlab/state_products.h>

namespace {

using attnlab::inner_product;
using attnlab::TensorView;

constexpr float kNormaliserEps = 1e-6F;
constexpr int kBlock = 64;  // tokens: what is inside a block costs as much as its state at head_dim 64

struct LinearOptions {
  std::int32_t kv_heads = 0;

  static constexpr auto fields() {
    return std::tuple{attnlab::field("kv_heads", &LinearOptions::kv_heads,
                                     {.min = 0,
                                      .doc = "Key/value heads, each with one state; a divisor of the query heads. "
                                             "0: as the model has.",
                                      .from_model = "num_key_value_heads"})};
  }
};

void apply_features(float* x, int width) {
  for (int i = 0; i < width; ++i) x[i] = x[i] > 0 ? x[i] + 1 : std::exp(x[i]);
}

// A matrix inside a buffer, rows `stride` apart.
struct Block {
  const float* data;
  std::int64_t stride;
};

// out [rows, columns] += a [rows, depth] b [depth, columns]. Four terms a pass: a row of out is read and written less.
void add_product(Block a, Block b, int rows, int depth, int columns, float* out, std::int64_t out_stride) {
  for (int row = 0; row < rows; ++row) {
    const float* of_a = a.data + row * a.stride;
    float* to = out + row * out_stride;
    int i = 0;
    for (; i + 4 <= depth; i += 4) {
      const float* b0 = b.data + i * b.stride;
      const float* b1 = b0 + b.stride;
      const float* b2 = b1 + b.stride;
      const float* b3 = b2 + b.stride;
      const float a0 = of_a[i], a1 = of_a[i + 1], a2 = of_a[i + 2], a3 = of_a[i + 3];
      for (int column = 0; column < columns; ++column)
        to[column] += (a0 * b0[column] + a1 * b1[column]) + (a2 * b2[column] + a3 * b3[column]);
    }
    for (; i < depth; ++i) {
      const float* b0 = b.data + i * b.stride;
      for (int column = 0; column < columns; ++column) to[column] += of_a[i] * b0[column];
    }
  }
}

class Linear final : public attnlab::AttentionVariant {
 public:
  Linear(const LinearOptions& options, const attnlab::CreateContext& context)
      : projections_(options.kv_heads > 0 ? options.kv_heads : context.kv_heads, context),
        heads_(context.heads),
        kv_heads_(projections_.kv_heads()),
        head_dim_(context.head_dim) {}
  // There are no scores that a bias could change, and keys go into the state at angles that stay.
  static attnlab::Traits traits(const LinearOptions&) {
    return {.provides = {attnlab::Feature::fixed_state},
            .excludes = {attnlab::Feature::score_bias, attnlab::Feature::length_dependent_rotation}};
  }

  std::vector<attnlab::ParameterSpec> parameters() const override { return projections_.parameters(); }
  void bind(const attnlab::ParameterSet& parameters) override { projections_.bind(parameters); }

  attnlab::KvShape kv_shape() const override { return {}; }
  // Of every kv head the sum of f(k) v' [d, d], then the sum of f(k) [d].
  std::int64_t state_floats() const override { return std::int64_t{kv_heads_} * state_of_head(); }

  void forward(const attnlab::LayerContext& layer, TensorView<const float, 2> hidden,
               TensorView<float, 2> out) override {
    const int tokens = layer.chunk.tokens();
    attnlab::Steps& steps = layer.steps;
    const auto [q, k, v] = projections_.project(steps, hidden);
    auto mixed = steps.rows(tokens, heads_, head_dim_);
    const int tasks = layer.chunk.sequences() * kv_heads_;
    auto rooms = steps.rows(tasks, room_of_task());
    steps.rotate(attnlab::RotateSide::query, q);
    steps.rotate(attnlab::RotateSide::key, k);
    attnlab::for_each_index(tasks, [&](int index) {
      const int sequence = index / kv_heads_;
      const int kv_head = index % kv_heads_;
      const int first = layer.chunk.first(sequence);
      const int count = layer.chunk.tokens_of(sequence);
      float* state = layer.state.row(sequence).data() + kv_head * state_of_head();
      const Rows rows{q.slice(first, count), k.slice(first, count), v.slice(first, count), mixed.slice(first, count)};
      if (count == 1) return step(rows, kv_head, state);
      for (int token = 0; token < count; token += kBlock)
        block(rows, kv_head, token, std::min(kBlock, count - token), state, rooms.row(index).data());
    });
    steps.own_work(work_of(layer.chunk));
    // q and k hold their features now.
    steps.custom({.reads = {all_of(q), all_of(k), all_of(v)}, .writes = {all_of(q), all_of(k), all_of(mixed)}},
                 [this, q = q, k = k, v = v, mixed, chunk = layer.chunk](attnlab::Gradients& of) {
                   attnlab::for_each_index(chunk.sequences() * kv_heads_, [&](int index) {
                     const int first = chunk.first(index / kv_heads_), count = chunk.tokens_of(index / kv_heads_);
                     const auto part = [&](auto rows) { return rows.slice(first, count); };
                     undo({part(q), part(k), part(v), part(mixed)},
                          {part(of.of(q)), part(of.of(k)), part(of.of(v)), part(of.of(mixed))}, index % kv_heads_);
                   });
                 });
    projections_.project_back(steps, mixed, out);
  }

 private:
  // Of one sequence.
  struct Rows {
    TensorView<float, 3> q;      // [tokens, heads, d]
    TensorView<float, 3> k;      // [tokens, kv_heads, d]
    TensorView<float, 3> v;      // [tokens, kv_heads, d]
    TensorView<float, 3> mixed;  // [tokens, heads, d]
  };

  // As step() and block() do it: scores and values inside a block, the state read by every head and added to.
  attnlab::OwnWork work_of(const attnlab::ChunkView& chunk) const {
    attnlab::OwnWork work;
    const double state = static_cast<double>(state_of_head());
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      const int tokens = chunk.tokens_of(sequence);
      work.multiply_adds += tokens * state * (heads_ + kv_heads_);
      work.bytes += (tokens + kBlock - 1) / kBlock * 2.0 * sizeof(float) * state * kv_heads_;
      if (tokens == 1) continue;
      for (int first = 0; first < tokens; first += kBlock) {
        const double count = std::min(kBlock, tokens - first);
        work.multiply_adds += 2 * count * count * head_dim_ * heads_;
      }
    }
    return work;
  }
  int group() const { return heads_ / kv_heads_; }
  std::int64_t state_of_head() const { return std::int64_t{head_dim_} * (head_dim_ + 1); }
  std::int64_t room_of_task() const { return std::int64_t{kBlock} * (head_dim_ + kBlock); }

  // One token.
  void step(const Rows& rows, int kv_head, float* state) const {
    float* sums = state + head_dim_ * head_dim_;
    float* key = &rows.k(0, kv_head, 0);
    const float* value = &rows.v(0, kv_head, 0);
    apply_features(key, head_dim_);
    for (int i = 0; i < head_dim_; ++i) sums[i] += key[i];
    const int first_head = kv_head * group();
    for (int head = first_head; head < first_head + group(); ++head) {
      apply_features(&rows.q(0, head, 0), head_dim_);
      std::fill_n(&rows.mixed(0, head, 0), head_dim_, 0.0F);
    }
    attnlab::add_outer_product(state, head_dim_, head_dim_, key, value);
    for (int head = first_head; head < first_head + group(); ++head)
      attnlab::add_transposed_product(state, head_dim_, head_dim_, &rows.q(0, head, 0), &rows.mixed(0, head, 0));
    for (int head = first_head; head < first_head + group(); ++head)
      normalise(&rows.mixed(0, head, 0), inner_product(&rows.q(0, head, 0), sums, head_dim_));
  }

  // Tokens first .. first + count of the sequence. room: keys by channel [d, kBlock], then scores [kBlock, kBlock].
  void block(const Rows& rows, int kv_head, int first, int count, float* state, float* room) const {
    float* sums = state + head_dim_ * head_dim_;
    float* keys = room;
    float* scores = room + std::int64_t{kBlock} * head_dim_;
    for (int token = 0; token < count; ++token) {
      float* key = &rows.k(first + token, kv_head, 0);
      apply_features(key, head_dim_);
      for (int i = 0; i < head_dim_; ++i) keys[i * kBlock + token] = key[i];
    }
    const Block by_channel{keys, kBlock};
    const Block values{&rows.v(first, kv_head, 0), rows.v.stride(0)};
    for (int head = kv_head * group(); head < (kv_head + 1) * group(); ++head) {
      const Block queries{&rows.q(first, head, 0), rows.q.stride(0)};
      for (int token = 0; token < count; ++token) {
        apply_features(&rows.q(first + token, head, 0), head_dim_);
        std::fill_n(&rows.mixed(first + token, head, 0), head_dim_, 0.0F);
      }
      std::fill_n(scores, count * kBlock, 0.0F);
      add_product(queries, by_channel, count, head_dim_, count, scores, kBlock);
      for (int token = 0; token < count; ++token)
        std::fill(scores + token * kBlock + token + 1, scores + token * kBlock + count, 0.0F);
      float* to = &rows.mixed(first, head, 0);
      add_product(queries, {state, head_dim_}, count, head_dim_, head_dim_, to, rows.mixed.stride(0));
      add_product({scores, kBlock}, values, count, count, head_dim_, to, rows.mixed.stride(0));
      for (int token = 0; token < count; ++token) {
        float total = inner_product(&rows.q(first + token, head, 0), sums, head_dim_);
        for (int other = 0; other <= token; ++other) total += scores[token * kBlock + other];
        normalise(&rows.mixed(first + token, head, 0), total);
      }
    }
    add_product(by_channel, values, head_dim_, count, head_dim_, state, head_dim_);
    for (int i = 0; i < head_dim_; ++i)
      for (int token = 0; token < count; ++token) sums[i] += keys[i * kBlock + token];
  }

  // o_i = sum_j (q_i k_j) v_j / n_i over j <= i, with n_i = q_i z_i + eps. With u_i = do_i / n_i and c_i = do_i o_i /
  // n_i: dq_i = S_i u_i - c_i z_i forwards, with S_i the sum of k v' and z_i of k; dk_j = R_j v_j - r_j and dv_j = R_j'
  // k_j backwards, with R_j the sum of q u' and r_j of c q. A feature f has the slope min(f, 1).
  void undo(const Rows& rows, const Rows& of, int kv_head) const {
    const int d = head_dim_, first_head = kv_head * group();
    const std::int64_t tokens = rows.k.extent(0);
    std::vector<float> sums(static_cast<std::size_t>(d) * d), total(d), read(d), pulls(tokens * group());
    for (std::int64_t token = 0; token < tokens; ++token) {
      const float* key = &rows.k(token, kv_head, 0);
      for (int i = 0; i < d; ++i) total[i] += key[i];
      attnlab::add_outer_product(sums.data(), d, d, key, &rows.v(token, kv_head, 0));
      for (int member = 0; member < group(); ++member) {
        const int head = first_head + member;
        float* const of_out = &of.mixed(token, head, 0);
        const float* const query = &rows.q(token, head, 0);
        const float factor = 1 / (inner_product(query, total.data(), d) + kNormaliserEps);
        for (int i = 0; i < d; ++i) of_out[i] *= factor;  // u
        float& pull = pulls[token * group() + member];
        pull = inner_product(of_out, &rows.mixed(token, head, 0), d);
        std::ranges::fill(read, 0.0F);
        attnlab::add_matrix_product(sums.data(), d, d, of_out, read.data());
        float* const of_query = &of.q(token, head, 0);
        for (int i = 0; i < d; ++i) of_query[i] = (of_query[i] + read[i] - pull * total[i]) * std::min(query[i], 1.0F);
      }
    }
    std::ranges::fill(sums, 0.0F);
    std::ranges::fill(total, 0.0F);
    for (std::int64_t token = tokens; token-- > 0;) {
      for (int member = 0; member < group(); ++member) {
        const float* query = &rows.q(token, first_head + member, 0);
        const float pull = pulls[token * group() + member];
        for (int i = 0; i < d; ++i) total[i] += pull * query[i];
        attnlab::add_outer_product(sums.data(), d, d, query, &of.mixed(token, first_head + member, 0));
      }
      const float* key = &rows.k(token, kv_head, 0);
      attnlab::add_transposed_product(sums.data(), d, d, key, &of.v(token, kv_head, 0));
      std::ranges::fill(read, 0.0F);
      attnlab::add_matrix_product(sums.data(), d, d, &rows.v(token, kv_head, 0), read.data());
      float* const of_key = &of.k(token, kv_head, 0);
      for (int i = 0; i < d; ++i) of_key[i] = (of_key[i] + read[i] - total[i]) * std::min(key[i], 1.0F);
    }
  }

  void normalise(float* out, float total) const {
    const float factor = 1.0F / (total + kNormaliserEps);
    for (int i = 0; i < head_dim_; ++i) out[i] *= factor;
  }

  attnlab::HeadProjections projections_;
  int heads_, kv_heads_, head_dim_;
};

constexpr attnlab::Component<attnlab::AttentionVariant> kAttention[] = {
    attnlab::component<attnlab::AttentionVariant, Linear, LinearOptions>(
        {.id = "linear",
         .summary = "A product of features instead of a softmax; a state of fixed size instead of rows.",
         .reference = "arXiv:2006.16236"})};

}  // namespace

ATTNLAB_PLUGIN(.name = "linear", .version = "1.0", .attention = kAttention);
