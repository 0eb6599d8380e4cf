// Position schemes as the host calls them; see guarded.h.
#include "registry/guarded.h"
#include "registry/guarded_hooks.h"

namespace attnlab {
namespace {

class GuardedPosition final : public PositionScheme {
 public:
  GuardedPosition(Callee& callee, std::unique_ptr<PositionScheme> inner)
      : callee_(callee), inner_(std::move(inner)), rotation_(callee), bias_(callee), row_bias_(callee) {}

  std::vector<ParameterSpec> parameters() const override { return declared_parameters(callee_, *inner_); }
  void bind(const ParameterSet& parameters) override {
    call_plugin(callee_, "bind", [&] { inner_->bind(parameters); });
  }
  void add_to_embeddings(std::span<const Position> positions, TensorView<float, 2> embeddings) const override {
    call_plugin(callee_, "add_to_embeddings", [&] { inner_->add_to_embeddings(positions, embeddings); });
  }
  void refresh() override {
    call_plugin(callee_, "refresh", [&] { inner_->refresh(); });
  }
  void embeddings_backward(std::span<const Position> positions, TensorView<const float, 2> gradients,
                           Gradients& others) const override {
    call_plugin(callee_, "embeddings_backward", [&] { inner_->embeddings_backward(positions, gradients, others); });
  }
  const Rotation* rotation() const override {
    return rotation_.follow(call_plugin(callee_, "rotation", [&] { return inner_->rotation(); }));
  }
  const ScoreHook* score_bias() const override {
    return bias_.follow(call_plugin(callee_, "score_bias", [&] { return inner_->score_bias(); }));
  }
  const RowBias* row_bias() const override {
    return row_bias_.follow(call_plugin(callee_, "row_bias", [&] { return inner_->row_bias(); }));
  }
  Position max_positions() const override {
    const Position most = call_plugin(callee_, "max_positions", [&] { return inner_->max_positions(); });
    if (most < 0)
      broken_rule_of(callee_, "max_positions", "it is " + std::to_string(most),
                     "give the number of positions that can be represented, or 0 for any");
    return most;
  }

 private:
  Callee& callee_;
  std::unique_ptr<PositionScheme> inner_;
  mutable GuardedRotation rotation_;
  mutable GuardedHook bias_;
  mutable GuardedRowBias row_bias_;
};

}  // namespace

std::unique_ptr<PositionScheme> guarded(Callee& callee, std::unique_ptr<PositionScheme> position) {
  return std::make_unique<GuardedPosition>(callee, std::move(position));
}

}  // namespace attnlab
