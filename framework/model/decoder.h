// A decoder of the Llama family: embedding, layers of attention and MLP with a norm before each, final norm, head.
// Norms and MLPs are of the kinds that its config names (body.h); its attention, positions and caches are whatever
// components it was given. Not here: how components are chosen (the experiment), where weights come from (WeightStore),
// how text is sampled (sampling).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <attnlab/attention_variant.h>

#include "core/attend.h"
#include "model/body.h"
#include "model/config/model_config.h"
#include "model/parameters.h"
#include "model/tokenizers/tokenizer.h"
#include "model/weight_store.h"
#include "ops/matrix.h"
#include "steps/model_steps.h"

namespace attnlab::model {

/// The components of one layer. Position schemes and policies may be shared by layers.
struct LayerComponents {
  std::unique_ptr<AttentionVariant> attention;
  std::shared_ptr<PositionScheme> position;
  std::shared_ptr<CachePolicy> cache;
  KeyForm key_form = KeyForm::rotated;
  std::function<std::unique_ptr<KvRows>(const KvShape&, int sequences, int capacity)> make_rows;
  std::function<double(const KvShape&)> row_bytes;             // of one row of one kv head, as it is held
  std::function<double(const KvShape&, int rows)> list_bytes;  // of so many rows of one kv head, whole pages
  double row_step = 0;  // how far a row that is held may be from what was appended; see RowStorage::row_step; infinity
                        // where the policy replaces rows
  std::uint64_t seed = 1;
};

/// What the cache of a layer is for.
struct CachePlace {
  int layer = 0;
  int layers = 1;
  int caches = 1;  // of all layers, where some keep no rows or read those of others
  int cache = 0;   // the place of this one among them
  int heads = 0;
  std::vector<int> capacities = {0};  // [sequences] tokens that each may reach; 0: not known
};

/// The cache that a layer's components ask for. Error where the policy makes none.
[[nodiscard]] std::unique_ptr<LayerCache> make_cache(const LayerComponents& components, const CachePlace& place);

/// New tokens of one sequence.
struct SequenceTokens {
  int sequence = 0;
  std::span<const TokenId> tokens;
  Phase phase = Phase::decode;
  int prompt_length = 0;  // of the whole prompt that these tokens are a piece of; 0: the tokens end it
};

class Decoder;

/// The state of a batch of sequences: caches and lengths. One thread at a time. A pass that ends in an exception leaves
/// some layers ahead of others, so its sequences are refused (an Error) until they are cleared or restored.
class ATTNLAB_API Session {
 public:
  ~Session();
  Session(Session&&) noexcept;

  [[nodiscard]] int sequences() const noexcept { return static_cast<int>(lengths_.size()); }
  /// Tokens fed so far.
  [[nodiscard]] int length(int sequence) const noexcept { return lengths_[sequence]; }
  /// Empties every sequence; caches may keep their memory for the next ones.
  void clear();
  /// All that a sequence goes on from; and back into any sequence of a session that was made alike, whatever it holds.
  /// An Error where a cache does not say what its state is, or the state is that of another model or arm.
  void save(int sequence, StateWriter& to) const;
  void restore(int sequence, StateReader& from);
  /// Takes back all tokens but the first `length`, as if they had never been fed (a speculative step that was
  /// rejected). An Error where a cache or an attention cannot go back; if a cache refuses after those of other layers
  /// have gone back, the sequence is refused like after a pass that failed.
  void truncate(int sequence, int length);
  /// Makes the empty sequence `to` go on from what `from` holds: rows of a shared prefix are stored once and counted
  /// once until one of the two sequences changes them. An Error where a cache cannot.
  void fork(int from, int to);
  [[nodiscard]] int layers() const noexcept { return static_cast<int>(cache_of_.size()); }
  /// Whether its cache is the layer's own, not that of an earlier layer whose rows it reads.
  [[nodiscard]] bool owns_rows(int layer) const noexcept {
    return layer == 0 || cache_of_[layer] > *std::max_element(cache_of_.begin(), cache_of_.begin() + layer);
  }
  /// That the layer reads.
  [[nodiscard]] LayerCache& cache(int layer) noexcept { return *caches_[cache_of_[layer]]; }
  [[nodiscard]] KvShape shape(int layer) const noexcept { return caches_[cache_of_[layer]]->shape(); }
  /// Really allocated for cached rows and states, all layers.
  [[nodiscard]] std::size_t kv_bytes() const noexcept;
  /// Rows that live, times the numbers of a row in f32: without indices, and without what blocks have to spare.
  [[nodiscard]] std::size_t kv_bytes_nominal() const noexcept;
  /// Rows that live, summed over layers and kv heads.
  [[nodiscard]] std::int64_t live_rows() const noexcept;
  /// Rows that were ever appended, summed likewise.
  [[nodiscard]] std::int64_t appended_rows() const noexcept;

 private:
  friend class Decoder;
  Session() = default;

  void check_whole(int sequence) const;
  // Of the whole process, so that a number is never that of another session's sequence.
  [[nodiscard]] static std::uint64_t next_history() noexcept;
  // The sequence's part of a layer's state.
  template <class Floats>
  [[nodiscard]] auto state_of(Floats& state, int sequence) const {
    const std::size_t floats = state.size() / lengths_.size();
    return std::span(state).subspan(static_cast<std::size_t>(sequence) * floats, floats);
  }

  std::vector<std::unique_ptr<LayerCache>> caches_;  // of the layers with rows of their own
  std::vector<int> cache_of_;                        // [layers] index of the cache that the layer reads
  std::vector<std::vector<float>> states_;           // [layers][sequences x (state_floats + summary_floats)]
  std::vector<char> has_state_;                      // [layers] state_floats > 0
  std::vector<Position> lengths_;                    // [sequences]
  std::vector<char> halfway_;                        // [sequences]: in a pass that has not come to its end
  std::vector<std::uint64_t> histories_;             // [sequences]: see LayerPass::histories
  // The chunk being fed, kept so that a decode step allocates nothing.
  std::vector<std::int32_t> offsets_;
  std::vector<Position> positions_;
  std::vector<Phase> phases_;
  std::vector<Position> chunk_lengths_;
  std::vector<TokenId> tokens_;
};

class ATTNLAB_API Decoder {
 public:
  /// Declares, loads and binds all parameters. Error where weights are missing or do not fit. `replaced_attention`:
  /// the arm chose the attention itself, so the checkpoint's own attention tensors may stay unused.
  Decoder(const ModelConfig& config, std::vector<LayerComponents> layers, WeightStore weights, bool replaced_attention);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  [[nodiscard]] const ModelConfig& config() const noexcept { return config_; }
  /// What the report has to say about the weights: conversions of head layouts.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }
  [[nodiscard]] std::size_t weight_bytes() const noexcept;
  /// Those of its weights that are packed, or rows of a table: nearly all.
  [[nodiscard]] const std::vector<HeldWeight>& held_weights() const noexcept { return held_weights_; }

  /// Every tensor, by its checkpoint name; a tied embedding once. f32 where the store widens.
  [[nodiscard]] std::vector<ParameterPlace> parameters();
  /// [vocab_size, hidden_dim]
  [[nodiscard]] const Matrix& head() const noexcept { return *head_; }
  /// The rows of token ids, as steps are given them.
  [[nodiscard]] Embedding embedding() const noexcept;
  /// After numbers of parameters have changed: components derive what they derive from them anew.
  void refresh();

  /// Other steps than those of inference, through which all passes go from now on (steps that count, or check); null:
  /// those of inference. Returns what was there before.
  ModelSteps* use_steps(ModelSteps* steps) noexcept;
  /// Called after each layer of every pass, by the thread that runs the pass; empty: nothing is.
  void call_after_layers(std::function<void()> call) { after_layer_ = std::move(call); }
  /// What attention multiplies for many tokens, in these steps and in those that are used in their place from then on.
  /// bf16 needs a CPU with instructions for it.
  void attend_in(Arithmetic arithmetic) noexcept;
  /// Working memory of the passes, which other steps may take theirs from.
  [[nodiscard]] Scratch& scratch() noexcept;

  /// What attention has cost in all passes of inference so far.
  [[nodiscard]] const AttendTime& attend_time() const noexcept;

  /// The components of a layer, as far as others may look at them.
  [[nodiscard]] const PositionScheme& position(int layer) const noexcept;
  [[nodiscard]] const AttentionVariant& attention(int layer) const noexcept;
  [[nodiscard]] std::int64_t state_floats(int layer) const noexcept;
  /// Of one row of one kv head that the layer reads, as its storage holds it, and how far it may be from what was
  /// appended.
  [[nodiscard]] double row_bytes(int layer) const;
  [[nodiscard]] double row_step(int layer) const;

  /// capacities [sequences]: tokens that each may reach, of which shares are taken.
  [[nodiscard]] Session make_session(std::span<const int> capacities) const;
  /// All the same; 0: not known.
  [[nodiscard]] Session make_session(int sequences, int capacity) const;

  /// Error where a scheme cannot represent positions below `length`; a warning where the length is beyond what the
  /// model was trained for.
  [[nodiscard]] std::optional<std::string> check_length(int length) const;

  /// Feeds tokens (at most one entry a sequence) and returns the normalised hidden states of all of them,
  /// [tokens, hidden_dim], in the order of the sequences; valid until the next call. Token ids must be below
  /// vocab_size and positions those of every scheme: else an Error, and the session is as it was.
  TensorView<const float, 2> forward(Session& session, std::span<const SequenceTokens> input);

  /// What a chunk of a layer is filled with: keys [tokens, kv_heads, key_dim], values [tokens, kv_heads, value_dim],
  /// not rotated; and queries [tokens, heads, key_dim], empty where the cache looks at none.
  struct MadeRows {
    std::span<float> keys, values, queries;
  };
  using MakeRows = std::function<void(int layer, const MadeRows& rows)>;
  /// Appends rows up to lengths[sequence] to every layer, in chunks, as the beginning of a prompt of prompts[sequence]
  /// tokens, which ends where both are the same. A policy that looks at queries is shown those of the chunk; nothing is
  /// attended, so no row has mass. `make` is asked once for each layer; chunks and sequences get the same. For timing
  /// decode steps without a prefill.
  void fill(Session& session, std::span<const int> lengths, std::span<const int> prompts, const MakeRows& make);

  /// Whether `forward` has returned NaN or Inf since this was asked last.
  [[nodiscard]] bool take_nonfinite() noexcept { return std::exchange(saw_nonfinite_, false); }

  /// hidden [rows, hidden_dim] -> out [rows, vocab_size].
  void logits(TensorView<const float, 2> hidden, TensorView<float, 2> out) const;

 private:
  struct Layer;
  struct Work;

  void link_layers();
  void load(WeightStore& weights, bool replaced_attention);
  void check_input(const Session& session, std::span<const SequenceTokens> input) const;
  void check_positions(int length) const;

  ModelConfig config_;
  std::vector<Layer> layers_;
  ElementType embedding_type_ = ElementType::f32;
  Pages embedding_;               // [vocab_size, hidden_dim]; empty where the head is tied to it
  std::unique_ptr<Matrix> head_;  // [vocab_size, hidden_dim]
  BodyNorm final_norm_;
  std::vector<std::string> notes_;
  std::vector<HeldWeight> held_weights_;
  std::unique_ptr<Work> work_;
  std::vector<float> hidden_;  // result of the last forward
  bool saw_nonfinite_ = false;
  std::function<void()> after_layer_;
};

/// Other steps for as long as this lives.
class WithSteps {
 public:
  WithSteps(Decoder& decoder, ModelSteps& steps) : decoder_(decoder), before_(decoder.use_steps(&steps)) {}
  ~WithSteps() { decoder_.use_steps(before_); }
  WithSteps(const WithSteps&) = delete;
  WithSteps& operator=(const WithSteps&) = delete;

 private:
  Decoder& decoder_;
  ModelSteps* before_;
};

}  // namespace attnlab::model
