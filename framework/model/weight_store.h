// Where a model's weights come from, seen as one thing: a checkpoint's tensors, tensors that code made, or values from
// a seed for models that exist only as a YAML. Checks shapes and finiteness, converts head layouts, packs, and lets go
// of what was packed.
// Not here: which parameters a model has (the decoder and the plugins declare them).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <attnlab/api.h>
#include <attnlab/module.h>

#include "model/checkpoints/checkpoint.h"
#include "model/config/model_config.h"
#include "model/held_tensors.h"
#include "model/shared_weights.h"
#include "ops/matrix.h"

namespace attnlab::model {

class ATTNLAB_API WeightStore {
 public:
  /// `allow_nonfinite`: NaN and Inf are taken as they are. `seed`: of kv heads that are to be random.
  WeightStore(Checkpoint checkpoint, const ModelConfig& config, bool allow_nonfinite, std::uint64_t seed);
  /// Values from a seed; every name exists. Weights of norms are 1, their biases 0.
  WeightStore(std::uint64_t seed, const ModelConfig& config);
  WeightStore(HeldTensors held, const ModelConfig& config);

  /// From now on tensors are looked up and their shapes checked, but nothing is read; what is returned holds no values.
  void check_only() noexcept { reads_ = false; }
  /// From now on everything is f32, whatever its type is in the checkpoint.
  void widen() noexcept { widens_ = true; }
  /// From now on matrices are held in this type, whatever theirs is in the checkpoint; what is no matrix of a product
  /// stays as it is.
  void hold_as(ElementType type) noexcept { held_as_ = type; }
  /// What products with matrices that are made from now on multiply.
  void multiply_in(Arithmetic arithmetic) noexcept { arithmetic_ = arithmetic; }
  /// More weights than this are an Error before memory is taken for them.
  void limit_bytes(std::size_t limit) noexcept { limit_ = limit; }
  /// From now on what these hold is taken from there. They must outlive all that is made of it.
  void take_from(SharedParts parts) { shared_ = std::move(parts); }
  /// Packs a tensor for forks of this process, in which no thread may run when it returns. `weight` as held() of a
  /// store of the same model says. Error as in matrix().
  void pack_for_forks(const HeldWeight& weight, SharedWeights& to);

  [[nodiscard]] bool is_random() const noexcept { return !checkpoint_ && !held_; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  /// Always true for values from a seed.
  [[nodiscard]] bool has(std::string_view name) const;

  /// Whether a checkpoint stores both tensors and they differ; false where nothing is read.
  [[nodiscard]] bool holds_different(const std::string& a, const std::string& b) const;

  /// The tensor packed, in its own element type (f32 after a conversion of heads). shape [out, in]. Error naming file
  /// and tensor where it is missing, of another shape or type, or not finite.
  [[nodiscard]] Matrix matrix(const std::string& name, std::span<const std::int64_t> shape,
                              HeadConversion conversion = {});
  /// The tensor as plain f32, any shape.
  [[nodiscard]] std::vector<float> values(const std::string& name, std::span<const std::int64_t> shape,
                                          HeadConversion conversion = {});
  /// The tensor's rows as they stand, row after row in its own type; for lookups. shape [rows, width].
  [[nodiscard]] Pages table(const std::string& name, std::span<const std::int64_t> shape, ElementType& type);

  /// Error for tensors that nothing asked for, except those whose name begins with one of the prefixes and
  /// `*.rotary_emb.inv_freq`.
  void check_all_used(std::span<const std::string> ignored_prefixes) const;

  /// All matrices and tables that were asked for.
  [[nodiscard]] const std::vector<HeldWeight>& held() const noexcept { return asked_; }

  /// A line of its own among the notes.
  void note(std::string text) { notes_.push_back(std::move(text)); }
  /// "converted: 2 kv heads from 8 (mean-pooled)"; one line for all tensors that are alike.
  [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }

 private:
  struct Stored;
  void take(std::size_t bytes);
  // Notes that it is held; its key.
  std::string note_held(const Stored& stored, std::span<const std::int64_t> shape, HeadConversion conversion,
                        ElementType type, bool is_table, std::size_t bytes);
  // Each part of a tensor, on all threads.
  void for_parts(int count, const std::function<void(int)>& task) const;
  // Whose weights they are, for messages; empty for those from a seed.
  [[nodiscard]] std::string origin() const;
  [[nodiscard]] std::string shown(const std::string& name) const;
  [[nodiscard]] bool is_gguf() const noexcept;
  Stored find(const std::string& name, std::span<const std::int64_t> shape, HeadConversion conversion);
  // Rows first .. first + rows.size() / width of the stored tensor, checked for NaN and Inf.
  void read_rows(const Stored& stored, std::int64_t first, std::span<float> rows) const;
  // The same rows as they would be of a model without a checkpoint.
  void draw_rows(const Stored& stored, std::int64_t first, std::span<float> rows) const;
  void read_converted_row(const Stored& stored, std::int64_t row, std::span<float> out) const;

  std::optional<Checkpoint> checkpoint_;
  std::optional<HeldTensors> held_;
  const ModelConfig config_;
  bool allow_nonfinite_ = false;
  bool reads_ = true;
  bool widens_ = false;
  std::optional<ElementType> held_as_;
  Arithmetic arithmetic_ = Arithmetic::f32;
  std::size_t limit_ = 0;  // 0: none
  std::size_t taken_ = 0;
  std::uint64_t seed_ = 0;
  std::set<std::string, std::less<>> used_;
  std::vector<std::string> notes_;
  std::vector<HeldWeight> asked_;
  SharedParts shared_;
  SharedWeights* packs_for_ = nullptr;  // where threads are joined
  PagesRoom room_;                      // of all matrices
};

}  // namespace attnlab::model
