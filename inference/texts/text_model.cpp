// The only file in this folder that includes libtorch.
#include "texts/text_model.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/require.h"
#include "models/bert/cpu_encoder.h"
#include "models/bert/folder.h"
#include "models/tensors/device.h"
#include "models/tensors/gpu_numerics.h"
#include "models/tensors/transfer.h"
#include "optimization/score_batches.h"

namespace sartor::inference {
namespace {

namespace fs = std::filesystem;

bert::Bert on_gpu(const fs::path& folder, bert::Head head, Precision precision, int gpu) {
  require(precision != Precision::int8,
          "precision is int8, which requires a CPU; expected fp32, tf32 or bf16 on a GPU");
  allow_tf32(precision == Precision::tf32);
  auto loaded = bert::load_bert(folder, head, device_of(gpu));
  for (const auto& name : loaded.missing) {
    require(head == bert::Head::none && name.starts_with("pooler."), "{}: has no tensor {}", folder.string(), name);
  }
  loaded.model.compute_in(precision == Precision::bf16 ? at::kBFloat16 : at::kFloat);
  return std::move(loaded.model);
}

auto classification() {
  return [](const auto& model, const transformer::Packed& batch) { return model.classify(batch); };
}

auto embedding(Pooling pooling, bool normalize) {
  return [=](const auto& model, const transformer::Packed& batch) { return model.embed(batch, pooling, normalize); };
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
  std::function<at::Tensor(const transformer::Packed&)> values;  // (B, columns)
  Transfer transfer;                                             // to and from the model's device
  std::vector<std::string> ignored;

  // The only difference between the CPU and a GPU is the type of the model; `ask` accepts both.
  template <class Model, class Ask> static TextModel open(Model model, bert::Head head, Ask ask, Transfer transfer) {
    const auto shared = std::make_shared<const Model>(std::move(model));
    const auto& config = shared->config();
    const int64_t columns = head == bert::Head::classification ? config.num_labels() : config.hidden_size;
    const auto values = [shared, ask](const transformer::Packed& batch) { return ask(*shared, batch); };
    return TextModel(std::unique_ptr<Opened>(
        new Opened{config, bert::input_spec(config), columns, values, std::move(transfer), {}}));
  }

  template <class Ask>
  static TextModel open(const fs::path& folder, bert::Head head, Precision precision, int gpu, Ask ask) {
    const auto opened = [&] {
      if (gpu < 0) {
        return open(bert::CpuEncoder::open(folder, head, transformer::on_cpu(precision)), head, ask,
                    Transfer(at::kCPU));
      }
      auto on_device = on_gpu(folder, head, precision, gpu);  // may refuse the precision, also without a GPU
      return open(std::move(on_device), head, ask, Transfer(device_of(gpu)));
    };
    auto model = opened();
    model.opened_->ignored = bert::ignored(folder, head);
    return model;
  }
};

TextModel TextModel::classifier(const fs::path& folder, Precision precision, int gpu) {
  return Opened::open(folder, bert::Head::classification, precision, gpu, classification());
}

TextModel TextModel::embedder(const fs::path& folder, Precision precision, int gpu, Pooling pooling, bool normalize) {
  return Opened::open(folder, bert::Head::none, precision, gpu, embedding(pooling, normalize));
}

TextModel TextModel::classifier(bert::Bert model, Transfer transfer) {
  return Opened::open(std::move(model), bert::Head::classification, classification(), std::move(transfer));
}

TextModel TextModel::embedder(bert::Bert model, Transfer transfer, Pooling pooling, bool normalize) {
  return Opened::open(std::move(model), bert::Head::none, embedding(pooling, normalize), std::move(transfer));
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
  struct Sent {
    transformer::Packed packed;
    Transfer::Arrival arrival;
  };
  const auto batches = transformer::token_budget_batches(lengths, batch_tokens);
  const auto prepare = [&](int64_t i) {
    const c10::InferenceMode inference;  // also on another thread
    auto batch = std::make_unique<Sent>();
    batch->packed = transformer::pack(opened_->input, {rows.rows, rows.ids, rows.type_ids}, batches[i]);
    batch->arrival = opened_->transfer.send(tensors_of(batch->packed));
    return batch;
  };
  int64_t done = 0;
  const auto compute = [&](const Sent& batch) {
    if (before_batch) before_batch(done);
    done += batch.packed.batch();
    return opened_->values(batch.packed).to(at::kFloat).contiguous();
  };
  score_batches(std::ssize(batches), opened_->transfer, prepare, compute, [&](int64_t i, const at::Tensor& found) {
    for (size_t k = 0; k < batches[i].size(); k++) {
      std::copy_n(found.const_data_ptr<float>() + k * columns, columns, values.data() + batches[i][k] * columns);
    }
  });
  require(std::ranges::all_of(values, [](float value) { return std::isfinite(value); }),
          "the model gives values that are not finite");
  return values;
}

}  // namespace sartor::inference
