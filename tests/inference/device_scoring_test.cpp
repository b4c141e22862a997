// Scoring on an accelerator: batches are sent ahead, results are taken late, and nothing else passes between host and
// device. On libtorch's meta device, which throws when something is read back, and on the CPU in place of a device.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "models/bert/folder.h"
#include "models/bert/model.h"
#include "models/tensors/transfer.h"
#include "support/bert_folders.h"
#include "support/folder_test.h"
#include "support/meta_operators.h"
#include "support/plain_copies.h"
#include "support/step_observer.h"
#include "texts/text_model.h"

namespace sartor::inference {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::PlainCopies;
using testing::small_bert;
using ::testing::ThrowsMessage;

constexpr int64_t one_each = 1;  // batch_tokens: each row is a batch

text::Encodings rows_of_lengths(std::vector<int64_t> lengths) {
  text::Encodings rows;
  for (const int64_t length : lengths) {
    for (int64_t i = 0; i < length; i++) {
      rows.ids.push_back(static_cast<int32_t>((7 * i + length) % std::ssize(testing::small_vocabulary)));
      rows.type_ids.push_back(i > 3 ? 1 : 0);
    }
    rows.rows.push_back(std::ssize(rows.ids));
  }
  return rows;
}

struct OnMeta {
  std::shared_ptr<PlainCopies> copies = std::make_shared<PlainCopies>(at::kMeta);
  testing::MetaOperators operators;

  TextModel model(bert::Head head, at::ScalarType type, Pooling pooling = Pooling::mean) const {
    bert::Bert bert(small_bert(), head, at::kMeta);
    bert.compute_in(type);
    const Transfer transfer(at::kMeta, copies);
    return head == bert::Head::classification ? TextModel::classifier(std::move(bert), transfer)
                                              : TextModel::embedder(std::move(bert), transfer, pooling, true);
  }
};

// What three batches of one row do, once the weights have been cast.
testing::StepCounts expect_one_copy_a_batch(const OnMeta& meta, const TextModel& model) {
  const auto rows = rows_of_lengths({9, 30, 1});
  model.score(rows, 1000);
  meta.copies->sent = meta.copies->awaited = meta.copies->fetched = 0;
  testing::StepObserver observer;
  EXPECT_EQ(std::ssize(model.score(rows, one_each)), 3 * model.columns());
  auto counts = observer.take();
  EXPECT_EQ(meta.copies->sent, 3);
  EXPECT_EQ(meta.copies->awaited, 3);
  EXPECT_EQ(meta.copies->fetched, 3);
  EXPECT_EQ(counts.copies_in, 3) << counts.text();
  EXPECT_EQ(counts.copies_out, 0) << counts.text();
  EXPECT_EQ(counts.operators % 3, 0) << counts.text();
  return counts;
}

TEST(DeviceScoring, ABatchOfAClassifierIsOneCopyAndNoReadBack) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const OnMeta meta;
    const auto counts = expect_one_copy_a_batch(meta, meta.model(bert::Head::classification, type));
    RecordProperty(std::string("operators a batch, ") + c10::toString(type), static_cast<int>(counts.operators / 3));
  }
}

TEST(DeviceScoring, ABatchOfAnEmbedderIsOneCopyAndNoReadBack) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const auto pooling : {Pooling::mean, Pooling::cls}) {
      const OnMeta meta;
      expect_one_copy_a_batch(meta, meta.model(bert::Head::none, type, pooling));
    }
  }
}

// Weights are cast once: later batches in bf16 cast only activations.
TEST(DeviceScoring, ABatchCastsNoWeights) {
  const OnMeta meta;
  const auto model = meta.model(bert::Head::classification, at::kBFloat16);
  const auto casts = [&] {
    testing::StepObserver observer;
    model.score(rows_of_lengths({9}), one_each);
    const auto counts = observer.take();
    return counts.of("aten::to") + counts.of("aten::_to_copy");
  };
  const int64_t first = casts(), second = casts();
  EXPECT_GE(first - second, 2 * 6 + 2) << "the weights of two layers and of the head";
  EXPECT_EQ(casts(), second);
}

// Writes down what it is asked for.
class Recorded : public PlainCopies {
 public:
  Recorded() : PlainCopies(at::kCPU) {}

  Copy to_device(const at::Tensor& from) override {
    if (std::this_thread::get_id() == computing_) add("send on the computing thread");
    return PlainCopies::to_device(from);
  }
  Copy to_host(const at::Tensor& from) override {
    const auto number = std::to_string(fetched.load());
    add("fetch " + number);
    return {PlainCopies::to_host(from).to, std::make_unique<End>(*this, "take " + number)};
  }

  std::vector<std::string> log;

 private:
  struct End : Event {
    End(Recorded& recorded, std::string name) : recorded(recorded), name(std::move(name)) {}
    bool is_done() const override { return true; }
    void wait() const override { recorded.add(name); }
    Recorded& recorded;
    std::string name;
  };
  void add(const std::string& entry) {
    const std::lock_guard lock(mutex_);
    log.push_back(entry);
  }

  const std::thread::id computing_ = std::this_thread::get_id();
  std::mutex mutex_;
};

class ScoringAhead : public testing::FolderTest {
 protected:
  ScoringAhead() { testing::write_bert_folder(folder_, small_bert()); }
  TextModel classifier() const {
    return TextModel::classifier(bert::load_bert(folder_, bert::Head::classification).model,
                                 Transfer(at::kCPU, copies_));
  }
  std::shared_ptr<Recorded> copies_ = std::make_shared<Recorded>();
};

TEST_F(ScoringAhead, ResultsAreTakenOneBatchLate) {
  classifier().score(rows_of_lengths({9, 30, 1}), one_each);
  EXPECT_THAT(copies_->log, ElementsAre("fetch 0", "fetch 1", "take 0", "fetch 2", "take 1", "take 2"));
}

TEST_F(ScoringAhead, GivesTheValuesOfTheCpu) {
  const auto rows = rows_of_lengths({9, 30, 1, 12, 12, 7, 31, 2});
  const auto expected = TextModel::classifier(folder_, Precision::fp32, -1).score(rows, 1 << 20);
  for (const int64_t budget : {one_each, int64_t{20}, int64_t{1000}}) {
    const auto found = classifier().score(rows, budget);
    EXPECT_THAT(found, ::testing::Pointwise(::testing::FloatNear(1e-5f), expected)) << budget;
  }
  EXPECT_TRUE(classifier().score({}, one_each).empty());
}

TEST_F(ScoringAhead, StopsWhenItIsAskedTo) {
  const auto model = classifier();
  std::vector<int64_t> before;
  const auto rows = rows_of_lengths({9, 30, 1, 4});
  const auto stop_at_two = [&](int64_t done) {
    before.push_back(done);
    if (done == 2) throw std::runtime_error("stop");
  };
  EXPECT_THAT([&] { model.score(rows, one_each, stop_at_two); }, ThrowsMessage<std::runtime_error>("stop"));
  EXPECT_THAT(before, ElementsAre(0, 1, 2));
  EXPECT_EQ(std::ssize(model.score(rows, one_each)), 8);
}

TEST_F(ScoringAhead, AFaultOfThePackingThreadEndsTheScoring) {
  auto rows = rows_of_lengths({9, 30, 1});
  rows.ids.back() = 99;
  EXPECT_THAT([&] { classifier().score(rows, one_each); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("token id 99, the vocabulary has 24")));
}

}  // namespace
}  // namespace sartor::inference
