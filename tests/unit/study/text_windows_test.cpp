// Windows of a text: side by side, or such that overlap, in which every token is predicted once and with enough before.
#include <gtest/gtest.h>

#include <set>

#include <fmt/format.h>

#include "model/tokenizers/tokenizer.h"
#include "unit/model_test_files.h"
#include "workloads/text_windows.h"
#include "workloads/workload.h"

namespace attnlab::experiment {
namespace {

TEST(TextWindows, ThatOverlapPredictEveryTokenOnceAndWithAContextBeforeIt) {
  const model_test::TempFolder folder;
  for (const int vocab : {256, 258})  // without and with BOS
    for (const int bytes : {2, 19, 20, 21, 97, 100, 101})
      for (const int stride : {0, 1, 5, 7, 19}) {
        SCOPED_TRACE(testing::Message() << bytes << " bytes, stride " << stride << ", vocabulary " << vocab);
        const auto tokenizer = model::byte_tokenizer(vocab);
        const std::size_t before = tokenizer->before_prompt().size();
        EXPECT_EQ(before, vocab == 258 ? 1U : 0U);
        std::string text;  // every byte tells its place
        for (int i = 0; i < bytes; ++i) text += static_cast<char>('\x01' + i);
        constexpr std::size_t kContext = 20;
        const TextWindows windows =
            read_text_windows(folder.write("text", text), *tokenizer, vocab, kContext, stride, 0);
        std::multiset<int> predicted;
        for (const auto& window : windows.all) {
          EXPECT_LE(window.size(), kContext);
          for (std::size_t i = windows.first_counted; i < window.size(); ++i) predicted.insert(window[i]);
        }
        std::multiset<int> expected;
        const std::size_t piece = kContext - before;
        if (stride == 0) {
          for (int i = 0; i < bytes; ++i)
            if (i % piece + before >= 1) expected.insert(1 + i);
        } else {
          for (std::size_t i = piece - stride; i < static_cast<std::size_t>(bytes); ++i)
            expected.insert(static_cast<int>(1 + i));
        }
        EXPECT_EQ(predicted, expected);
        if (stride > 0) {
          EXPECT_EQ(windows.first_counted, std::max(kContext - stride, before));
        }
      }
}

TEST(TextWindows, WhoseTokensWouldNotAllBeScoredAreRefused) {
  const model_test::TempFolder folder;
  const std::string text = folder.write("text", "some text").string();
  const auto problems_of = [&](const std::string& keys) {
    config::ProblemList problems;
    const std::string yaml = fmt::format("[perplexity: {{text: {}, context: 20, {}}}]", text, keys);
    (void)read_workloads(config::parse_text(yaml, "f.yaml"), {}, problems);
    return problems.empty() ? "" : problems.sorted().front().what + "; " + problems.sorted().front().remedy;
  };
  EXPECT_EQ(problems_of("stride: 19, prefill: all"), "");
  EXPECT_EQ(problems_of("stride: 8, prefill: 12"), "");
  EXPECT_EQ(problems_of("stride: 20"),
            "stride: 20 is not less than the context of 20; windows without it stand side by side");
  EXPECT_EQ(problems_of("stride: 9, prefill: 12"),
            "stride: of 9 tokens those of the prompt are never scored: a context of 20 less a prefill of 12 is 8; "
            "give a stride of at most 8, a shorter prefill, or prefill: all");
}

}  // namespace
}  // namespace attnlab::experiment
