#include "storage/stored_embeddings.h"

#include <algorithm>
#include <cmath>

#include "base/require.h"

namespace sartor::datasets {

EmbeddingsWriter::EmbeddingsWriter(const std::filesystem::path& path, const EmbeddingsForm& form, int64_t rows)
    : aside_(path),
      file_(Hdf5File::create(aside_.temporary())),
      ids_(file_.create_strings("/ids", rows)),
      rows_(file_.create_list<int64_t>("/rows", rows)),
      vectors_(file_.create_matrix<float>("/vectors", rows, form.columns)) {
  file_.set_schema(embeddings_schema, embeddings_version);
  file_.set_attribute("pooling", form.pooling);
  file_.set_attribute("normalized", int64_t{form.normalized});
}

void EmbeddingsWriter::append(std::span<const std::string_view> ids, std::span<const int64_t> rows,
                              std::span<const float> vectors) {
  require(ids.size() == rows.size() && vectors.size() == ids.size() * vectors_.columns(),
          "{}: {} ids, {} rows and {} values of vectors of {}", aside_.target().string(), ids.size(), rows.size(),
          vectors.size(), vectors_.columns());
  ids_.write(written_, ids);
  rows_.write(written_, rows);
  vectors_.write(written_, vectors);
  written_ += std::ssize(ids);
}

void EmbeddingsWriter::finish() {
  require(written_ == vectors_.rows(), "{}: {} of {} rows written", aside_.target().string(), written_,
          vectors_.rows());
  file_.close();
  aside_.commit();
}

StoredEmbeddings::StoredEmbeddings(const std::filesystem::path& path)
    : file_(Hdf5File::open(path)),
      ids_((file_.require_schema(embeddings_schema, embeddings_version), file_.strings("/ids"))),
      rows_(file_.list<int64_t>("/rows")),
      vectors_(file_.matrix<float>("/vectors")),
      form_{file_.string_attribute("pooling"), file_.int_attribute("normalized") != 0, vectors_.columns()} {
  require(ids_.rows() == size() && rows_.rows() == size(), "{}: {} ids, {} rows, {} vectors", path.string(),
          ids_.rows(), rows_.rows(), size());
}

StoredEmbeddings::Slab StoredEmbeddings::read(int64_t first, int64_t count) const {
  Slab slab = {ids_.read(first, count), std::vector<int64_t>(count), std::vector<float>(count * vectors_.columns())};
  rows_.read(first, slab.rows);
  vectors_.read(first, slab.vectors);
  const auto bad = std::ranges::find_if_not(slab.vectors, [](float value) { return std::isfinite(value); });
  require(bad == slab.vectors.end(), "{}: row {} is not finite", vectors_.name(),
          first + (bad - slab.vectors.begin()) / std::max<int64_t>(vectors_.columns(), 1));
  return slab;
}

}  // namespace sartor::datasets
