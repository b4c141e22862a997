// The only file in this folder that includes libtorch.
#include "texts/text_model.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/require.h"
#include "models/bert/cpu_encoder.h"
#include "models/bert/folder.h"
#include "models/tensors/gpu_numerics.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;

bert::Bert on_gpu(const fs::path& folder, bert::Head head, Precision precision, at::Device device) {
  require(precision != Precision::int8, "precision is int8, which requires a CPU; expected fp32 or bf16 on a GPU");
  allow_tf32(precision == Precision::tf32);
  auto loaded = bert::load_bert(folder, head, device);
  for (const auto& name : loaded.missing) {
    require(head == bert::Head::none && name.starts_with("pooler."), "{}: has no tensor {}", folder.string(), name);
  }
  loaded.model.compute_in(precision == Precision::bf16 ? at::kBFloat16 : at::kFloat);
  return std::move(loaded.model);
}

}  // namespace

fs::path model_folder(const fs::path& path) {
  for (const auto& folder : {path, path / "model"}) {
    if (fs::exists(folder / "config.json")) return folder;
  }
  require(fs::exists(path), "{}: no such folder", path.string());
  require(!fs::exists(path / "run.yaml"), "{} is a run without a text model (yet)", path.string());
  throw std::invalid_argument(fmt::format("{} is not a text model: it has no config.json", path.string()));
}

struct TextModel::Opened {
  bert::BertConfig config;
  transformer::InputSpec input;
  int64_t columns;
  at::Device device;
  std::function<at::Tensor(const transformer::Packed&)> values;  // (B, columns)
  std::vector<std::string> ignored;

  // The only difference between the CPU and a GPU is the type of the model; `ask` accepts both.
  template <class Ask>
  static TextModel open(const fs::path& folder, bert::Head head, Precision precision, int gpu, Ask ask) {
    const auto opened = [&](auto model, at::Device device) {
      const auto shared = std::make_shared<const decltype(model)>(std::move(model));
      const auto& config = shared->config();
      const int64_t columns = head == bert::Head::classification ? config.num_labels() : config.hidden_size;
      const auto values = [shared, ask](const transformer::Packed& batch) { return ask(*shared, batch); };
      return TextModel(std::unique_ptr<Opened>(
          new Opened{config, bert::input_spec(config), columns, device, values, bert::ignored(folder, head)}));
    };
    if (gpu < 0)
      return opened(bert::CpuEncoder::open(folder, head, transformer::on_cpu(precision)), at::Device(at::kCPU));
    const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu));
    return opened(on_gpu(folder, head, precision, device), device);
  }
};

TextModel TextModel::classifier(const fs::path& folder, Precision precision, int gpu) {
  return Opened::open(folder, bert::Head::classification, precision, gpu,
                      [](const auto& model, const transformer::Packed& batch) { return model.classify(batch); });
}

TextModel TextModel::embedder(const fs::path& folder, Precision precision, int gpu, Pooling pooling, bool normalize) {
  return Opened::open(
      folder, bert::Head::none, precision, gpu,
      [=](const auto& model, const transformer::Packed& batch) { return model.embed(batch, pooling, normalize); });
}

TextModel::TextModel(std::unique_ptr<Opened> opened) : opened_(std::move(opened)) {}
TextModel::~TextModel() = default;
TextModel::TextModel(TextModel&&) noexcept = default;

const bert::BertConfig& TextModel::config() const { return opened_->config; }

int64_t TextModel::columns() const { return opened_->columns; }

const std::vector<std::string>& TextModel::ignored() const { return opened_->ignored; }

std::vector<float> TextModel::score(const text::Encodings& rows, int64_t batch_tokens,
                                    const std::function<void(int64_t done)>& before_batch) const {
  const c10::InferenceMode inference;
  std::vector<int64_t> lengths(rows.size());
  for (int64_t row = 0; row < rows.size(); row++) lengths[row] = rows.rows[row + 1] - rows.rows[row];
  const int64_t columns = this->columns();
  std::vector<float> values(rows.size() * columns);
  int64_t done = 0;
  for (const auto& batch : transformer::token_budget_batches(lengths, batch_tokens)) {
    if (before_batch) before_batch(done);
    done += std::ssize(batch);
    const auto packed = transformer::pack(opened_->input, {rows.rows, rows.ids, rows.type_ids}, batch, opened_->device);
    const auto found = opened_->values(packed).to(at::kCPU, at::kFloat).contiguous();
    for (size_t i = 0; i < batch.size(); i++) {
      std::copy_n(found.const_data_ptr<float>() + i * columns, columns, values.data() + batch[i] * columns);
    }
  }
  require(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }),
          "the model gives values that are not finite");
  return values;
}

}  // namespace sartor::inference
