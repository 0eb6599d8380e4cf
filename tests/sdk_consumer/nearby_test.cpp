// A plugin's own test, as attnlab_add_plugin(TEST) builds it: GoogleTest and the SDK, nothing else.
#include <gtest/gtest.h>

#include <attnlab/position_scheme.h>

#include "nearby.h"

TEST(Nearby, CostsNothingNearAndRisesBeyond) {
  EXPECT_EQ(nearby::penalty(0, 16, 0.5F), 0.0F);
  EXPECT_EQ(nearby::penalty(16, 16, 0.5F), 0.0F);
  EXPECT_EQ(nearby::penalty(20, 16, 0.5F), 2.0F);
}

// Out-of-line parts of the SDK come from the library.
TEST(Nearby, LinksTheLibrary) {
  struct Nothing final : attnlab::PositionScheme {};
  const Nothing nothing;
  EXPECT_TRUE(nothing.parameters().empty());
}
