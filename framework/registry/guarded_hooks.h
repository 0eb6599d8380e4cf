// Objects of components that are called inside `attend`, from any thread: none of their functions may throw, so the
// guard only notes which component is being called.
#pragma once

#include <algorithm>
#include <atomic>
#include <span>
#include <string>

#include <attnlab/core.h>
#include <attnlab/position_scheme.h>

#include "base/plugin_call.h"

namespace attnlab {

/// Hands itself out in place of what the plugin hands out, which may be another object in another call.
template <class Interface, class Self>
class Follower {
 public:
  explicit Follower(Callee& callee) : callee_(callee) {}
  /// Null stays null.
  Self* follow(Interface* target, Self* self) {
    if (target == nullptr) return nullptr;
    // Written once, as a rule: several threads ask, and get the same.
    if (target_.load(std::memory_order_relaxed) != target) target_.store(target, std::memory_order_relaxed);
    return self;
  }
  [[nodiscard]] Interface& target() const noexcept { return *target_.load(std::memory_order_relaxed); }
  [[nodiscard]] Callee& callee() const noexcept { return callee_; }

 private:
  Callee& callee_;
  std::atomic<Interface*> target_ = nullptr;
};

class GuardedRotation final : public Rotation {
 public:
  explicit GuardedRotation(Callee& callee) : to_(callee) {}
  const Rotation* follow(const Rotation* target) { return to_.follow(target, this); }
  void rotate(const RotateArgs& args, TensorView<float, 3> rows) const noexcept override {
    const PluginCall call(to_.callee(), "rotate");
    to_.target().rotate(args, rows);
  }
  void rotate_back(const RotateArgs& args, TensorView<float, 3> gradients) const override {
    call_plugin(to_.callee(), "rotate_back", [&] { to_.target().rotate_back(args, gradients); });
  }
  TurnedPairs pairs() const noexcept override {
    const PluginCall call(to_.callee(), "pairs");
    return to_.target().pairs();
  }

 private:
  Follower<const Rotation, const Rotation> to_;
};

class GuardedHook final : public ScoreHook {
 public:
  explicit GuardedHook(Callee& callee) : to_(callee) {}
  const ScoreHook* follow(const ScoreHook* target) { return to_.follow(target, this); }
  void apply(ScoreTile& tile) const noexcept override {
    const PluginCall call(to_.callee(), "apply");
    to_.target().apply(tile);
  }
  Derivative derivative() const noexcept override { return to_.target().derivative(); }
  void require_derivative() const override {
    call_plugin(to_.callee(), "derivative", [&] { to_.target().require_derivative(); });
  }
  void backward(const ScoreTile& before, const ScoreGradients& gradients) const override {
    call_plugin(to_.callee(), "backward", [&] { to_.target().backward(before, gradients); });
  }

 private:
  Follower<const ScoreHook, const ScoreHook> to_;
};

class GuardedRowBias final : public RowBias {
 public:
  explicit GuardedRowBias(Callee& callee) : to_(callee) {}
  const RowBias* follow(const RowBias* target) { return to_.follow(target, this); }
  int width() const noexcept override { return to_.target().width(); }
  void add(QueryScores& query) const noexcept override {
    const PluginCall call(to_.callee(), "RowBias::add");
    to_.target().add(query);
  }
  double multiply_adds() const noexcept override { return to_.target().multiply_adds(); }
  Derivative derivative() const noexcept override { return to_.target().derivative(); }
  void require_derivative() const override {
    call_plugin(to_.callee(), "derivative", [&] { to_.target().require_derivative(); });
  }
  void backward(const QueryScores& before, TensorView<float, 3> gradients, TensorView<float, 3> of_queries,
                Gradients& others) const override {
    call_plugin(to_.callee(), "RowBias::backward",
                [&] { to_.target().backward(before, gradients, of_queries, others); });
  }

 private:
  Follower<const RowBias, const RowBias> to_;
};

class GuardedMask final : public MaskRule {
 public:
  explicit GuardedMask(Callee& callee) : to_(callee) {}
  const MaskRule* follow(const MaskRule* target) { return to_.follow(target, this); }
  Cover cover(const MaskPlace& place) const noexcept override {
    const PluginCall call(to_.callee(), "cover");
    return to_.target().cover(place);
  }
  void mask(ScoreTile& tile) const noexcept override {
    const PluginCall call(to_.callee(), "mask");
    to_.target().mask(tile);
  }

 private:
  Follower<const MaskRule, const MaskRule> to_;
};

class GuardedMassSink final : public MassSink {
 public:
  explicit GuardedMassSink(Callee& callee) : to_(callee) {}
  MassSink* follow(MassSink* target) { return to_.follow(target, this); }
  Position first_query(int sequence) const noexcept override {
    const PluginCall call(to_.callee(), "first_query");
    return to_.target().first_query(sequence);
  }
  void add(int sequence, int kv_head, std::span<const float> mass) noexcept override {
    const PluginCall call(to_.callee(), "MassSink::add");
    to_.target().add(sequence, kv_head, mass);
  }

 private:
  Follower<MassSink, MassSink> to_;
};

class GuardedQuerySink final : public QuerySink {
 public:
  explicit GuardedQuerySink(Callee& callee) : to_(callee) {}
  QuerySink* follow(QuerySink* target) { return to_.follow(target, this); }
  void add(const ChunkView& chunk, TensorView<const float, 3> queries) override {
    call_plugin(to_.callee(), "QuerySink::add", [&] { to_.target().add(chunk, queries); });
  }

 private:
  Follower<QuerySink, QuerySink> to_;
};

/// Every query head has to read something: nothing read would be an output of zeros.
class GuardedSelector final : public TileSelector {
 public:
  explicit GuardedSelector(Callee& callee) : to_(callee) {}
  const TileSelector* follow(const TileSelector* target) { return to_.follow(target, this); }
  bool selects(const ChunkView& chunk, int sequence) const noexcept override {
    const PluginCall call(to_.callee(), "selects");
    return to_.target().selects(chunk, sequence);
  }
  void select(const QueryPlace& place, TensorView<const float, 3> queries,
              TensorView<std::uint8_t, 3> reads) const noexcept override {
    const PluginCall call(to_.callee(), "select");
    to_.target().select(place, queries, reads);
    for (std::int64_t query = 0; query < reads.extent(0); ++query)
      for (std::int64_t member = 0; member < reads.extent(1); ++member) {
        const std::span<const std::uint8_t> of_head = reads[query].row(member);
        if (!of_head.empty() && std::ranges::none_of(of_head, [](std::uint8_t read) { return read != 0; }))
          note_broken_rule("head " + std::to_string(member) + " of kv head " + std::to_string(place.kv_head) +
                           " reads none of the " + std::to_string(of_head.size()) +
                           " tiles; it must read at least one");
      }
  }

 private:
  Follower<const TileSelector, const TileSelector> to_;
};

}  // namespace attnlab
