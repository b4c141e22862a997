#include "texts/embed.h"

#include <string_view>
#include <vector>

#include "schema/config.h"
#include "storage/stored_embeddings.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;

constexpr int64_t slab = 4096;  // rows copied per step when parts are joined

class Embeddings : public TextOutput {
 public:
  Embeddings(const EmbedConfig& config, int64_t columns)
      : form_{std::string(name_of(config.pooling)), config.normalize, columns} {}

  // Rows of a part are kept in memory until end(), because an HDF5 dataset needs the number of valid rows in advance.
  void begin(const fs::path& part) override {
    part_ = part;
    ids_.clear();
    rows_.clear();
    vectors_.clear();
  }

  void append(const text::TextWindow& window, std::vector<float> values) override {
    for (int64_t i = 0; i < window.size(); i++) {
      ids_.push_back(window.ids.size() > 0 ? window.ids[i] : std::string_view(std::to_string(window.rows[i])));
    }
    rows_.insert(rows_.end(), window.rows.begin(), window.rows.end());
    vectors_.insert(vectors_.end(), values.begin(), values.end());
  }

  void end() override {
    datasets::EmbeddingsWriter writer(part_, form_, std::ssize(rows_));
    writer.append(ids_.views(), rows_, vectors_);
    writer.finish();
  }

  int64_t join(const std::vector<fs::path>& parts, const fs::path& output,
               const std::function<void()>& between) override {
    int64_t rows = 0;
    for (const auto& part : parts) rows += datasets::StoredEmbeddings(part).size();
    datasets::EmbeddingsWriter whole(output, form_, rows);
    for (const auto& part : parts) {
      const datasets::StoredEmbeddings stored(part);
      for (int64_t first = 0; first < stored.size(); first += slab) {
        between();
        const auto some = stored.read(first, std::min(slab, stored.size() - first));
        const std::vector<std::string_view> ids(some.ids.begin(), some.ids.end());
        whole.append(ids, some.rows, some.vectors);
      }
    }
    whole.finish();
    return rows;
  }

 private:
  const datasets::EmbeddingsForm form_;
  fs::path part_;
  datasets::StringColumn ids_;
  std::vector<int64_t> rows_;
  std::vector<float> vectors_;
};

}  // namespace

std::unique_ptr<TextOutput> make_embeddings_output(const EmbedConfig& config, int64_t columns) {
  return std::make_unique<Embeddings>(config, columns);
}

void embed(const EmbedConfig& config, const Invocation& invocation) {
  const auto open = [&](const fs::path& folder, int gpu) -> TextTask {
    auto model = TextModel::embedder(folder, config.precision, gpu, config.pooling, config.normalize);
    const int64_t columns = model.columns();
    return {std::move(model), make_embeddings_output(config, columns)};
  };
  score_texts(config, {.config = config, .id = config.id, .part_extension = ".h5", .open = open}, invocation);
}

}  // namespace sartor::inference
