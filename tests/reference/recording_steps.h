// Steps that keep a tape: the seam that training will use, filled in by hand for the steps of one plain attention layer
// (project, append, attend over the layer's own rows by softmax, rotated by rope). A step does its work, and leaves a
// closure that turns the gradients of what it wrote into those of what it read; run last to first, in double precision.
// The gradient of a buffer is kept by the buffer's address, which stays its own because buffers are not given back.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include <attnlab/error.h>

#include "ops/matrix.h"
#include "reference/rope_reference.h"
#include "steps/through_steps.h"

namespace attnlab::reference {

class RecordingSteps final : public ThroughSteps {
 public:
  RecordingSteps(Scratch& scratch, const Rope& rope)
      : ThroughSteps(scratch), rope_(rope), frequencies_(rope.frequencies(0)) {}

  /// Of a dense buffer, zeros at first.
  std::vector<double>& gradient(const float* buffer, std::int64_t count) {
    std::vector<double>& of = gradients_[buffer];
    if (of.empty()) of.resize(static_cast<std::size_t>(count));
    return of;
  }
  /// [out, in]
  [[nodiscard]] const std::vector<double>& gradient(const Matrix& weight) const { return of_weights_.at(&weight); }
  void backward() {
    for (; !tape_.empty(); tape_.pop_back()) tape_.back()();
  }

  using Steps::append;
  using Steps::attend;
  using Steps::project;

  void project(TensorView<const float, 2> input, std::span<const Projection> projections) override {
    ThroughSteps::project(input, projections);
    for (const Projection& projection : projections)
      tape_.push_back(
          [=, this, &weight = projection.weight, out = projection.out] { undo_project(input, weight, out); });
  }

  void append(TensorView<float, 3> keys, TensorView<const float, 3> values, std::span<const float> marks) override {
    ThroughSteps::append(keys, values, marks);
    const ChunkView& chunk = layer().chunk;
    const std::vector<Position> positions(chunk.positions.begin(), chunk.positions.end());
    rows_.resize(static_cast<std::size_t>(chunk.sequences()));
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence)
      for (int token = chunk.first(sequence); token < chunk.offsets[sequence + 1]; ++token)
        rows_[sequence].push_back({keys, values, token, positions[token]});
    tape_.push_back([=, this] {  // a rotation is undone by its inverse
      std::vector<double>& of_keys = gradient(keys.data(), keys.elements());
      for (std::int64_t token = 0; token < keys.extent(0); ++token)
        for (std::int64_t head = 0; head < keys.extent(1); ++head)
          turn(head_of(of_keys, keys, token, head), -positions[token]);
    });
  }

  void attend(const AttendStep& step, TensorView<float, 3> out, TensorView<float, 2> log_sum) override {
    ATTNLAB_CHECK(step.hooks.empty() && step.source == nullptr && step.weighting == nullptr && step.chunk == nullptr,
                  "only a plain attention is recorded");
    ThroughSteps::attend(step, out, log_sum);
    const ChunkView& chunk = layer().chunk;
    for (int sequence = 0; sequence < chunk.sequences(); ++sequence) {
      // The rows as they are now: later calls append more.
      const std::vector<Row> rows = rows_[sequence];
      for (int token = chunk.first(sequence); token < chunk.offsets[sequence + 1]; ++token)
        tape_.push_back([=, this, queries = step.queries, scale = step.scale, position = chunk.positions[token]] {
          for (std::int64_t head = 0; head < queries.extent(1); ++head)
            undo_attend(queries, out, {token, head, position}, scale, rows);
        });
    }
  }

  // What has no backward pass here is refused: a gradient is never silently zero.
  void norm(TensorView<const float, 3>, std::span<const float>, float, TensorView<float, 3>) override { refuse(); }
  void rotate(RotateSide, TensorView<float, 3>) override { refuse(); }
  void gate(TensorView<const float, 2>, TensorView<float, 3>) override { refuse(); }
  void silu_multiply(TensorView<const float, 2>, TensorView<float, 2>) override { refuse(); }
  void silu(TensorView<float, 3>) override { refuse(); }
  void convolve(std::span<const float>, TensorView<float, 2>, TensorView<float, 3>) override { refuse(); }
  void blend(TensorView<const float, 3>, std::span<const float>, TensorView<float, 3>) override { refuse(); }
  void merge(std::span<const AttendedPart>, TensorView<float, 3>, TensorView<float, 2>) override { refuse(); }
  void add_norm(TensorView<float, 2>, const float*, std::span<const float>, float, TensorView<float, 2>) override {
    refuse();
  }
  void gated_project(TensorView<const float, 2>, const GatedProjection&, TensorView<float, 2>) override { refuse(); }

 protected:
  [[nodiscard]] bool keeps_buffers() const noexcept override { return true; }

 private:
  struct Row {
    TensorView<const float, 3> keys;  // of the call that appended it, turned
    TensorView<const float, 3> values;
    std::int64_t token;
    Position position;
  };
  struct Query {
    std::int64_t token, head;
    Position position;
  };

  [[noreturn]] static void refuse() { throw Error("", "this step is not recorded"); }
  void turn(std::span<double> row, Position position) const { rope_.turn(row, position, frequencies_); }
  template <class T>
  static std::span<double> head_of(std::vector<double>& gradient, TensorView<T, 3> rows, std::int64_t token,
                                   std::int64_t head) {
    const auto width = static_cast<std::size_t>(rows.extent(2));
    return std::span(gradient).subspan(static_cast<std::size_t>(token * rows.extent(1) + head) * width, width);
  }

  // out = input W'
  void undo_project(TensorView<const float, 2> input, const Matrix& weight, TensorView<float, 2> out) {
    const std::vector<double>& of_out = gradient(out.data(), out.elements());
    std::vector<double>& of_input = gradient(input.data(), input.elements());
    std::vector<double>& of_weight = of_weights_[&weight];
    of_weight.resize(static_cast<std::size_t>(weight.out_dim() * weight.in_dim()));
    std::vector<float> weights(static_cast<std::size_t>(weight.in_dim()));
    for (std::int64_t output = 0; output < weight.out_dim(); ++output) {
      weight.copy_output(output, weights);
      for (std::int64_t token = 0; token < input.extent(0); ++token) {
        const double g = of_out[token * weight.out_dim() + output];
        for (std::int64_t i = 0; i < weight.in_dim(); ++i) {
          of_weight[output * weight.in_dim() + i] += g * input(token, i);
          of_input[token * weight.in_dim() + i] += g * weights[i];
        }
      }
    }
  }

  // P = softmax(scale q K'), o = P V: dV = P' do, dS = P (do V' - do o), dq = scale dS K, dK = scale dS' q.
  void undo_attend(TensorView<const float, 3> queries, TensorView<const float, 3> out, const Query& at, double scale,
                   const std::vector<Row>& rows) {
    const std::int64_t width = queries.extent(2);
    const std::int64_t group = queries.extent(1) / rows.front().keys.extent(1);
    const std::int64_t kv_head = at.head / group;
    std::vector<double> query(width), of_query(width);
    for (std::int64_t i = 0; i < width; ++i) query[i] = queries(at.token, at.head, i);
    turn(query, at.position);
    std::vector<double> weights;
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (const Row& row : rows) {
      if (row.position > at.position) break;
      double score = 0;
      for (std::int64_t i = 0; i < width; ++i) score += scale * query[i] * row.keys(row.token, kv_head, i);
      weights.push_back(score);
      largest = std::max(largest, score);
    }
    for (double& weight : weights) sum += weight = std::exp(weight - largest);
    const std::span<const double> of_out = head_of(gradient(out.data(), out.elements()), out, at.token, at.head);
    double of_sum = 0;  // do . o
    std::vector<double> of_weights;
    for (std::size_t key = 0; key < weights.size(); ++key) {
      weights[key] /= sum;
      double product = 0;
      for (std::size_t i = 0; i < of_out.size(); ++i)
        product += of_out[i] * rows[key].values(rows[key].token, kv_head, i);
      of_weights.push_back(product);
      of_sum += weights[key] * product;
    }
    for (std::size_t key = 0; key < weights.size(); ++key) {
      const Row& row = rows[key];
      const auto of_key = head_of(gradient(row.keys.data(), row.keys.elements()), row.keys, row.token, kv_head);
      const auto of_value = head_of(gradient(row.values.data(), row.values.elements()), row.values, row.token, kv_head);
      const double of_score = scale * weights[key] * (of_weights[key] - of_sum);
      for (std::size_t i = 0; i < of_value.size(); ++i) of_value[i] += weights[key] * of_out[i];
      for (std::int64_t i = 0; i < width; ++i) {
        of_key[i] += of_score * query[i];
        of_query[i] += of_score * row.keys(row.token, kv_head, i);
      }
    }
    turn(of_query, -at.position);
    const auto to = head_of(gradient(queries.data(), queries.elements()), queries, at.token, at.head);
    for (std::int64_t i = 0; i < width; ++i) to[i] += of_query[i];
  }

  Rope rope_;
  std::vector<double> frequencies_;
  std::vector<std::vector<Row>> rows_;  // [sequences]
  std::vector<std::function<void()>> tape_;
  std::map<const float*, std::vector<double>> gradients_;
  std::map<const Matrix*, std::vector<double>> of_weights_;
};

}  // namespace attnlab::reference
