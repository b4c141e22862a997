// Embeddings written and read back; invalid files.
#include "storage/stored_embeddings.h"

#include <gmock/gmock.h>

#include <limits>

#include "support/folder_test.h"

namespace sartor::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

const EmbeddingsForm form = {"mean", true, 2};
const std::vector<std::string_view> ids = {"a", "评论", ""};
const std::vector<int64_t> rows = {0, 2, 5};
const std::vector<float> vectors = {1, 2, 3, 4, 5, 6};

class EmbeddingsFile : public testing::FolderTest {
 protected:
  void write_file(const std::vector<float>& values) const {
    EmbeddingsWriter writer(path("e.h5"), form, 3);
    writer.append(std::span(ids).first(1), std::span(rows).first(1), std::span(values).first(2));
    writer.append(std::span(ids).subspan(1), std::span(rows).subspan(1), std::span(values).subspan(2));
    writer.finish();
  }
};

TEST_F(EmbeddingsFile, ReadsBack) {
  write_file(vectors);
  const StoredEmbeddings stored(path("e.h5"));
  EXPECT_EQ(stored.size(), 3);
  EXPECT_EQ(stored.form().pooling, "mean");
  EXPECT_TRUE(stored.form().normalized);
  EXPECT_EQ(stored.form().columns, 2);
  const auto slab = stored.read(1, 2);
  EXPECT_THAT(slab.ids, ElementsAre("评论", ""));
  EXPECT_THAT(slab.rows, ElementsAre(2, 5));
  EXPECT_THAT(slab.vectors, ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(files(), ElementsAre("e.h5"));
}

TEST_F(EmbeddingsFile, MayBeEmpty) {
  EmbeddingsWriter writer(path("e.h5"), form, 0);
  writer.append({}, {}, {});
  writer.finish();
  EXPECT_EQ(StoredEmbeddings(path("e.h5")).size(), 0);
}

TEST_F(EmbeddingsFile, IsWholeOrNotThere) {
  {
    EmbeddingsWriter writer(path("e.h5"), form, 3);
    EXPECT_THAT([&] { writer.append(ids, rows, std::span(vectors).first(4)); },
                ThrowsMessage<std::invalid_argument>(HasSubstr("3 ids, 3 rows and 4 values of vectors of 2")));
    EXPECT_THAT([&] { writer.finish(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("0 of 3 rows written")));
  }
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(EmbeddingsFile, NamesWhatDoesNotFit) {
  Hdf5File::create(path("e.h5")).set_schema("sartor.factors", 1);
  EXPECT_THAT([&] { StoredEmbeddings(path("e.h5")); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("sartor.factors, expected sartor.embeddings")));
  {
    auto file = Hdf5File::create(path("e.h5"));
    file.set_schema(embeddings_schema, embeddings_version);
    file.set_attribute("pooling", std::string("cls"));
    file.set_attribute("normalized", int64_t{0});
    file.create_strings("/ids", 2).write(0, std::span(ids).first(2));
    file.create_list<int64_t>("/rows", 3).write(0, rows);
    file.create_matrix<float>("/vectors", 3, 2).write(0, vectors);
  }
  EXPECT_THAT([&] { StoredEmbeddings(path("e.h5")); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("2 ids, 3 rows, 3 vectors")));
  write_file({1, 2, 3, std::numeric_limits<float>::infinity(), 5, 6});
  EXPECT_THAT([&] { StoredEmbeddings(path("e.h5")).read(0, 3); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("e.h5: /vectors: row 1 is not finite")));
}

}  // namespace
}  // namespace sartor::datasets
