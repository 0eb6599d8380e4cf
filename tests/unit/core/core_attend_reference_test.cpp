// The law that ties the tiled core to its formula: `attend` agrees with the double reference, on ragged batches, in
// every layout of tiles, with everything that an argument can change. The other laws: core_attend_laws_test.cpp.
#include <gtest/gtest.h>

#include "reference/attend_case.h"

namespace attnlab {
namespace {

using namespace reference;

constexpr std::uint64_t kSeed = 20240607;

class EveryLayout : public testing::TestWithParam<Layout> {
 protected:
  // Shape `index` of the list; what is random is the same for every layout.
  static AttendCase make_case(int index) {
    Stream stream(kSeed + index);
    return {ragged_shape(index, stream), stream};
  }
  static void expect_agreement(int index, const AttendCase& c, const AttendOptions& options, Rules rules) {
    rules.scale = c.scale();
    rules.sink_logits = options.sink_logits;
    if (!rules.sees) rules.sees = causal(options.window);
    const Answer right = attend_all(c.queries, c.shape.heads(), c.chunk.view(), c.rows, rules);
    const double tolerance =
        attend_tolerance(c.shape.kv.key_dim, static_cast<std::size_t>(c.shape.longest()), right.largest_score);
    std::vector<float> log_sums;
    EXPECT_LT(normalised_error(run_attend(c, options, &log_sums), right.out), tolerance)
        << "seed " << kSeed + index << ": " << c.shape;
    // An error of a score is an equal error of the logarithm.
    for (std::size_t i = 0; i < log_sums.size(); ++i)
      if (std::isinf(right.log_sums[i]))
        EXPECT_EQ(log_sums[i], right.log_sums[i]) << "seed " << kSeed + index << ": " << c.shape;
      else
        ASSERT_NEAR(log_sums[i], right.log_sums[i], tolerance * std::max(1.0, std::abs(right.log_sums[i])))
            << "seed " << kSeed + index << ": " << c.shape;
  }
  AttendOptions options() const { return {.source = {.layout = GetParam()}}; }
};

INSTANTIATE_TEST_SUITE_P(Tiles, EveryLayout, testing::ValuesIn(kLayouts),
                         [](const auto& info) { return layout_name(info.param); });

TEST_P(EveryLayout, AgreesWithTheReferenceOnRaggedBatches) {
  for (int index = 0; index < 60; ++index) expect_agreement(index, make_case(index), options(), {});
}

TEST_P(EveryLayout, AgreesWithTheReferenceForGroupsLargerThanABlock) {
  for (const int group : {48, 49, 95, 97, 128}) {
    Stream stream(kSeed + group);
    const AttendShape shape{{.kv_heads = 1, .key_dim = 16, .value_dim = 20}, group, {600, 3}, {1, 11}};
    expect_agreement(group, {shape, stream}, options(), {});
  }
}

TEST_P(EveryLayout, AgreesWithTheReferenceInWindows) {
  int index = 60;
  for (const Position window : {1, 2, 7, 8, 63, 64, 65, 200, 1000}) {
    AttendOptions windowed = options();
    windowed.window = window;
    expect_agreement(index, make_case(index), windowed, {});
    ++index;
  }
}

TEST_P(EveryLayout, AgreesWithTheReferenceInAnyOrderOfRowsAndInTilesOfAnySize) {
  for (int index = 70; index < 82; ++index) {
    AttendCase c = make_case(index);
    Stream stream(index);
    for (std::vector<Row>& list : c.rows.lists) stream.shuffle(list);
    AttendOptions scattered = options();
    scattered.window = index % 3 == 0 ? 50 : 0;
    scattered.source.tile_rows = stream.between(1, kTileRows);
    expect_agreement(index, c, scattered, {});
  }
}

TEST_P(EveryLayout, AppliesHooksInTheirOrder) {
  const DistanceBias bias;
  const TanhCap cap(3);
  for (int index = 82; index < 88; ++index) {
    const AttendCase c = make_case(index);
    AttendOptions hooked = options();
    hooked.hooks = {&bias, &cap};
    expect_agreement(index, c, hooked, {.hook = [&](double score, int head, Position query, Position key) {
                       return cap.capped(score + DistanceBias::bias(head, query, key));
                     }});
    hooked.hooks = {&cap, &bias};
    expect_agreement(index, c, hooked, {.hook = [&](double score, int head, Position query, Position key) {
                       return cap.capped(score) + DistanceBias::bias(head, query, key);
                     }});
  }
}

TEST_P(EveryLayout, CountsTheSinkLogitAmongTheScores) {
  for (int index = 88; index < 96; ++index) {
    const AttendCase c = make_case(index);
    AttendOptions sinking = options();
    // Up to a sink that takes nearly everything, and down to one that takes nearly nothing.
    sinking.sink_logits = Stream(index).normals(c.shape.heads(), index % 2 == 0 ? 2 : 12);
    expect_agreement(index, c, sinking, {});
  }
}

TEST_P(EveryLayout, RotatesQueriesAndTheKeysThatComeUnrotated) {
  for (int index = 96; index < 106; ++index) {
    const AttendCase c = make_case(index);
    const TestRotation rotation(index % 2 == 0 ? c.shape.kv.key_dim : 0);
    AttendOptions rotating = options();
    rotating.rotation = &rotation;
    rotating.source.rotation = &rotation;
    for (const KeyForm form : {KeyForm::rotated, KeyForm::unrotated}) {
      SCOPED_TRACE(form == KeyForm::rotated ? "keys come rotated" : "keys come unrotated");
      rotating.source.key_form = form;
      expect_agreement(index, c, rotating, {.rotate = &TestRotation::turn});
    }
  }
}

TEST_P(EveryLayout, CountsQueriesAsTheCapOfATileSays) {
  const DistanceBias bias;
  for (int index = 106; index < 118; ++index) {
    AttendCase c = make_case(index);
    const TestRotation rotation(index % 4 < 2 ? c.shape.kv.key_dim : 0);
    // Runs of rows with caps of their own, two caps and none, as a policy's groups of rows would have. A cap below a
    // key's own position hides the key, by the causal mask.
    for (std::vector<Row>& list : c.rows.lists)
      for (std::size_t row = 0; row < list.size(); ++row)
        if (row % 100 < 60) list[row].query_cap = row % 100 < 30 ? 40 : 90;
    AttendOptions capped = options();
    capped.rotation = &rotation;
    capped.source.rotation = &rotation;
    capped.source.key_form = index % 2 == 0 ? KeyForm::rotated : KeyForm::unrotated;
    capped.window = index % 3 == 0 ? 70 : 0;
    capped.hooks = {&bias};
    expect_agreement(index, c, capped,
                     {.rotate = &TestRotation::turn, .hook = [](double score, int head, Position query, Position key) {
                        return score + DistanceBias::bias(head, query, key);
                      }});
  }
}

// Sees keys whose position is a multiple of `step`, and no others: what no causal mask says.
class EveryNth final : public MaskRule {
 public:
  explicit EveryNth(Position step) : step_(step) {}
  [[nodiscard]] bool sees(Position key) const { return key % step_ == 0; }
  Cover cover(const MaskPlace& place) const noexcept override {
    const PositionRange keys = place.keys;
    const bool has_none = keys.first / step_ == keys.last / step_ && !sees(keys.first);
    return has_none ? Cover::none : Cover::partial;
  }
  void mask(ScoreTile& tile) const noexcept override {
    for (std::int64_t member = 0; member < tile.scores.extent(0); ++member)
      for (std::int64_t query = 0; query < tile.scores.extent(1); ++query)
        for (std::int64_t row = 0; row < tile.scores.extent(2); ++row)
          if (!sees(tile.key_positions[row])) tile.scores(member, query, row) = -std::numeric_limits<float>::infinity();
  }

 private:
  Position step_;
};

TEST_P(EveryLayout, ObeysTheVisibilityOfTheSourceBesideItsOwnMask) {
  for (const Position step : {2, 5, 100, 300}) {
    const int index = 118 + step % 7;
    const EveryNth visibility(step);
    AttendOptions seeing = options();
    seeing.source.visibility = &visibility;
    seeing.window = 150;
    expect_agreement(index, make_case(index), seeing, {.sees = [&](Position query, Position key) {
                       return causal(150)(query, key) && visibility.sees(key);
                     }});
  }
}

TEST_P(EveryLayout, AgreesWithTheReferenceWhereScoresAreLarge) {
  for (int index = 126; index < 132; ++index) {
    AttendCase c = make_case(index);
    for (float& x : c.queries) x *= 40;  // scores of about a hundred: most weights are zero
    expect_agreement(index, c, options(), {});
  }
}

}  // namespace
}  // namespace attnlab
