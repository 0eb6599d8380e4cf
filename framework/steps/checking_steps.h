// Steps, each executed a second time in double precision from the same input, one number after the other. The
// conformance kit and the check of a trial run a model through them. The slow forms do not use packed weights, tiles or
// what a cache reports to hold: products read the weights one output at a time, attention reads the rows that were
// appended. They have no reference for a plugin's own formula (its rotation, hooks, masks, selection): they evaluate it
// for one score or one row at a time, so that a formula that depends on the shape of a tile is found, and report that
// such a step agrees only with itself. Not here: what a variant computes between its steps.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "core/attend_reference.h"
#include "steps/call_comparison.h"
#include "steps/row_record.h"
#include "steps/through_steps.h"

namespace attnlab {

/// How much is done a second time. As it is made: everything.
struct CheckingLimits {
  double scores = std::numeric_limits<double>::infinity();         // of a call of attend; one query of each sequence
                                                                   // at least, its newest
  double multiply_adds = std::numeric_limits<double>::infinity();  // of a product
  std::int64_t tokens = std::numeric_limits<std::int64_t>::max();  // of a call of the other steps
  int row_stride = 1;                                              // one cached row in so many is remembered
};

class ATTNLAB_API CheckingSteps final : public ThroughSteps {
 public:
  /// Of a layer, how far a row that its storage holds may be from what was appended; see RowStorage::row_step; infinity
  /// where the policy replaces rows.
  using RowStep = std::function<double(int layer)>;
  /// Buffers come from `scratch`. inner: the steps that are checked; null: direct steps. Both outlive this. Rows that
  /// were appended before this was made are not checked.
  CheckingSteps(Scratch& scratch, RowStep row_step, const CheckingLimits& limits = {}, ModelSteps* inner = nullptr);
  ~CheckingSteps() override;

  /// The largest deviation of steps whose slow form is independent, and of those in which formulas of plugins take
  /// part.
  [[nodiscard]] const StepDeviation& of_independent() const noexcept { return independent_; }
  [[nodiscard]] const StepDeviation& of_self_consistent() const noexcept { return self_consistent_; }
  /// The larger one.
  [[nodiscard]] const StepDeviation& largest() const noexcept {
    return self_consistent_.deviation > independent_.deviation ? self_consistent_ : independent_;
  }
  /// What was checked against an independent form: steps. And only against itself: formulas of plugins.
  [[nodiscard]] const std::set<std::string>& independent_steps() const noexcept { return independent_steps_; }
  [[nodiscard]] const std::set<std::string>& formulas() const noexcept { return formulas_; }

  using Steps::append;
  using Steps::attend;
  using Steps::project;
  void project(TensorView<const float, 2> input, std::span<const Projection> projections) override;
  void norm(TensorView<const float, 3> from, std::span<const float> weight, float eps,
            TensorView<float, 3> to) override;
  void rotate(RotateSide side, TensorView<float, 3> rows) override;
  void append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) override;
  void attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) override;
  void gate(TensorView<const float, 2> gates, TensorView<float, 3> rows) override;
  void silu_multiply(TensorView<const float, 2> gates, TensorView<float, 2> rows) override;
  void silu(TensorView<float, 3> rows) override;
  void convolve(std::span<const float> weight, TensorView<float, 2> state, TensorView<float, 3> rows) override;
  void blend(TensorView<const float, 3> from, std::span<const float> factors, TensorView<float, 3> to) override;
  void merge(std::span<const AttendedPart> parts, TensorView<float, 3> out, TensorView<float, 2> log_sum) override;
  void own_work(const OwnWork& work) override;
  void add_norm(TensorView<float, 2> x, const float* delta, const Norm& norm, TensorView<float, 2> out) override;
  void gated_project(TensorView<const float, 2> input, const GatedProjection& halves,
                     TensorView<float, 2> out) override;
  void activate(Activation activation, TensorView<float, 2> rows) override;

 private:
  using Tokens = std::vector<std::int64_t>;
  class HeldRows;

  // The tokens of a call that are looked at: evenly spread, the last among them.
  [[nodiscard]] Tokens chosen_tokens(std::int64_t tokens) const;
  [[nodiscard]] std::vector<QueryOfHead> chosen_queries(const AttendArgs& args, int sequence) const;
  [[nodiscard]] static int sequence_of(const ChunkView& chunk, std::int64_t token);
  // Outputs and tokens of a product that are looked at.
  template <class Right, class Found>
  void check_product(const char* step, TensorView<const float, 2> input, std::int64_t outputs, const Right& right,
                     const Found& found);
  // Rows that are to be compared after a step changed them, [chosen tokens, heads, width].
  [[nodiscard]] static std::vector<float> copied(TensorView<const float, 3> rows, const Tokens& tokens);
  void check_rotated(const char* step, RotateSide side, TensorView<const float, 3> rows, const Tokens& tokens,
                     std::vector<float> before);
  // row(list, its place, token, head) for every row of the chunk.
  template <class Row>
  void each_appended(const Row& row);
  // The rows of a kv head as the source gives them, compared with those that were appended.
  void gather(const AttendArgs& args, bool is_of_layer, int sequence, int kv_head, HeldRows& held);
  struct FoundRow {
    std::span<const float> key;
    std::span<const float> value;  // and the marks after it
    std::size_t marks;
  };
  // What is wrong with a row of the layer's cache; null: nothing.
  [[nodiscard]] const char* row_fault(const RowRecord::List& list, Position position, const FoundRow& found,
                                      std::vector<bool>& is_there);
  struct Attended {  // a call of attend, and what was found in it
    const AttendArgs& args;
    TensorView<const float, 3> out;
    TensorView<const float, 2> log_sum;  // without data: not asked for
    CallComparison of_out = {};
    CallComparison of_log_sum = {};
  };
  static void check_queries(Attended& call, const HeldRows& rows, std::span<const QueryOfHead> queries);
  // [tiles]: which the query reads.
  [[nodiscard]] static std::vector<std::uint8_t> selected(const AttendArgs& args, int sequence, QueryOfHead of);
  [[nodiscard]] std::set<std::string> formulas_of(const AttendArgs& args, bool is_of_layer) const;

  void take(const char* step, const CallComparison& comparison, const std::set<std::string>& formulas = {});
  void fault(const char* step, std::int64_t token, std::int64_t head, std::string what);

  RowStep row_step_;
  CheckingLimits limits_;
  RowRecord record_;
  StepDeviation independent_;
  StepDeviation self_consistent_;
  std::set<std::string> independent_steps_;
  std::set<std::string> formulas_;
  int attend_calls_ = 0;
  std::int64_t products_ = 0;  // so that other outputs are looked at in each
};

}  // namespace attnlab
