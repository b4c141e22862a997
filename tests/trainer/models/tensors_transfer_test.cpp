// Transfers run beside the computation, in its order, over memory that is reused: on a fake device whose streams are
// threads.
#include "models/tensors/transfer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <array>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "optimization/ahead.h"
#include "support/fake_device.h"

namespace sartor {
namespace {

using testing::FakeDevice;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class TransferTest : public ::testing::Test {
 protected:
  ~TransferTest() override { device_.finish(); }

  static at::Tensor on_device(at::IntArrayRef sizes, at::ScalarType type = at::kLong) {
    return at::empty(sizes, at::TensorOptions(FakeDevice::device()).dtype(type));
  }
  static at::Tensor values(int64_t first, int64_t size) { return at::arange(first, first + size); }

  // total = sum of values, by a kernel
  at::Tensor sum(const at::Tensor& values) {
    auto total = on_device({1});
    device_.launch([to = total.mutable_data_ptr<int64_t>(), from = values.const_data_ptr<int64_t>(),
                    size = values.numel()] { *to = std::accumulate(from, from + size, int64_t{0}); });
    return total;
  }

  FakeDevice& device_ = FakeDevice::get();
  // The streams of transfer_.
  int64_t in_ = device_.streams(), out_ = in_ + 1;
  Transfer transfer_ = Transfer(FakeDevice::device());
};

TEST_F(TransferTest, EachTensorArrivesInOneBlock) {
  const std::vector<at::Tensor> sent = {at::arange(5),
                                        at::Tensor(),
                                        at::arange(6, at::kFloat).view({2, 3}),
                                        at::empty({0}, at::kInt),
                                        at::scalar_tensor(7, at::kInt),
                                        at::ones({3}, at::kBool),
                                        at::arange(3, at::kBFloat16),
                                        at::empty({2, 0})};
  auto arrived = sent;
  std::vector<at::Tensor*> pointers;
  for (auto& tensor : arrived) pointers.push_back(&tensor);
  transfer_.await(transfer_.send(pointers));
  const void* block = arrived[0].storage().data();
  for (size_t i = 0; i < sent.size(); i++) {
    SCOPED_TRACE(i);
    ASSERT_EQ(arrived[i].defined(), sent[i].defined());
    if (!sent[i].defined()) continue;
    EXPECT_EQ(arrived[i].device(), FakeDevice::device());
    EXPECT_EQ(arrived[i].storage().data(), block);
    EXPECT_EQ(arrived[i].storage_offset() * arrived[i].element_size() % 16, 0);
    EXPECT_EQ(arrived[i].scalar_type(), sent[i].scalar_type());
    const auto back = transfer_.fetch(arrived[i]).take();
    EXPECT_TRUE(back.is_cpu());
    EXPECT_TRUE(back.equal(sent[i])) << back;
  }
}

TEST_F(TransferTest, NothingIsCopiedOnTheCpu) {
  const Transfer transfer{at::Device(at::kCPU)};
  auto tensor = at::arange(5);
  const void* data = tensor.const_data_ptr();
  transfer.await(transfer.send(std::vector{&tensor}));
  EXPECT_EQ(tensor.const_data_ptr(), data);
  const auto fetch = transfer.fetch(tensor);
  EXPECT_TRUE(fetch.ready());
  EXPECT_EQ(fetch.take().const_data_ptr(), data);
}

TEST_F(TransferTest, NothingToSendIsSent) {
  at::Tensor none;
  transfer_.await(transfer_.send({}));
  transfer_.await(transfer_.send(std::vector{&none}));
  EXPECT_FALSE(none.defined());
}

TEST_F(TransferTest, ALateCopyHoldsUpTheDeviceButNotTheHost) {
  device_.hold(in_);
  auto tensor = values(1, 10);
  transfer_.await(transfer_.send(std::vector{&tensor}));
  const auto fetch = transfer_.fetch(sum(tensor));
  EXPECT_FALSE(fetch.ready());
  device_.release(in_);
  EXPECT_EQ(fetch.take().item<int64_t>(), 55);
  EXPECT_TRUE(fetch.ready());
}

// A copy to the host waits neither for the next batch nor for what is computed after it.
TEST_F(TransferTest, AResultDoesNotWaitForTheNextBatch) {
  auto first = values(1, 10), second = values(2, 10);
  transfer_.await(transfer_.send(std::vector{&first}));
  const auto fetch = transfer_.fetch(sum(first));
  device_.hold(in_);
  transfer_.await(transfer_.send(std::vector{&second}));
  const auto next = transfer_.fetch(sum(second));
  EXPECT_EQ(fetch.take().item<int64_t>(), 55);
  EXPECT_FALSE(next.ready());
  device_.release(in_);
  EXPECT_EQ(next.take().item<int64_t>(), 65);
}

// A batch that was sent first may be used last, and results may be taken in any order.
TEST_F(TransferTest, BatchesAreAwaitedInAnyOrder) {
  std::vector<at::Tensor> batches;
  std::vector<Transfer::Arrival> arrivals;
  std::vector<Transfer::Fetch> fetches;
  for (int64_t i = 0; i < 5; i++) {
    batches.push_back(values(i, 10));
    arrivals.push_back(transfer_.send(std::vector{&batches.back()}));
  }
  for (const int i : {4, 1, 3, 0, 2}) {
    transfer_.await(arrivals[i]);
    fetches.push_back(transfer_.fetch(sum(batches[i])));
  }
  for (const int i : {3, 0, 4, 2, 1}) {
    const int64_t batch = std::array{4, 1, 3, 0, 2}[i];
    EXPECT_EQ(fetches[i].take().item<int64_t>(), 45 + 10 * batch);
  }
}

// Without await() a kernel reads memory that the copy has not reached: the fake device notices what it is to notice.
TEST_F(TransferTest, ABatchMustBeAwaited) {
  device_.hold(in_);
  auto tensor = values(1, 10);
  const auto arrival = transfer_.send(std::vector{&tensor});
  const auto early = transfer_.fetch(sum(tensor)).take().item<int64_t>();
  device_.release(in_);
  EXPECT_NE(early, 55);
}

TEST_F(TransferTest, AFailedCopyIsReportedByWhatFollowsFromIt) {
  auto good = values(1, 10), bad = values(2, 10);
  transfer_.await(transfer_.send(std::vector{&good}));
  const auto before = transfer_.fetch(sum(good));
  device_.fail(in_, "the bus is broken");
  transfer_.await(transfer_.send(std::vector{&bad}));
  const auto after = transfer_.fetch(sum(bad));
  EXPECT_EQ(before.take().item<int64_t>(), 55);
  EXPECT_THAT([&] { after.take(); }, ThrowsMessage<c10::Error>(HasSubstr("the bus is broken")));
  EXPECT_THROW(after.ready(), c10::Error);
}

// A thread packs and sends, another one computes and takes results one batch late. Everything is dropped as soon as it
// has been handed on, so that memory is reused under the copies and kernels.
class TransferPipeline : public TransferTest {
 protected:
  struct Batch {
    at::Tensor first, second;
    Transfer::Arrival arrival;
  };
  Batch batch(int64_t i) const {
    Batch batch{values(i, 500), values(7 * i, 30), {}};
    batch.arrival = transfer_.send(std::vector{&batch.first, &batch.second});
    return batch;
  }
  static int64_t expected(int64_t i) { return 500 * i + 499 * 250 + 30 * 7 * i + 29 * 15; }

  using Result = std::array<Transfer::Fetch, 2>;
  Result compute(const Batch& batch) {
    transfer_.await(batch.arrival);
    return {transfer_.fetch(sum(batch.first)), transfer_.fetch(sum(batch.second))};
  }
  static int64_t take(const Result& result) {
    return result[0].take().item<int64_t>() + result[1].take().item<int64_t>();
  }
};

TEST_F(TransferPipeline, RunsOverFewBlocks) {
  constexpr int64_t batches = 300;
  const int64_t before = device_.allocated();
  Ahead<Batch> ahead(0, batches, 2, [&](int64_t i) { return batch(i); });
  std::optional<Result> late;
  for (int64_t i = 0; i < batches; i++) {
    auto result = compute(ahead.next());
    if (late) {
      ASSERT_EQ(take(*late), expected(i - 1));
    }
    late = std::move(result);
  }
  EXPECT_EQ(take(*late), expected(batches - 1));
  EXPECT_LT(device_.allocated() - before, 60) << "of a batch: two blocks, two results on either side";
}

TEST_F(TransferPipeline, EndsWhereTheSenderFails) {
  Ahead<Batch> ahead(0, 100, 2, [&](int64_t i) {
    if (i == 7) throw std::runtime_error("row 7 is broken");
    return batch(i);
  });
  std::vector<Result> results;
  for (int64_t i = 0; i < 7; i++) results.push_back(compute(ahead.next()));
  EXPECT_THAT([&] { ahead.next(); }, ThrowsMessage<std::runtime_error>("row 7 is broken"));
  for (int64_t i = 0; i < 7; i++) EXPECT_EQ(take(results[i]), expected(i));
}

// Batches that were sent and not used are dropped while their copies run.
TEST_F(TransferPipeline, MayBeLeftInTheMiddle) {
  for (int64_t repetition = 0; repetition < 20; repetition++) {
    Ahead<Batch> ahead(0, 100, 3, [&](int64_t i) { return batch(i); });
    EXPECT_EQ(take(compute(ahead.next())), expected(0));
    compute(ahead.next());
  }
}

}  // namespace
}  // namespace sartor
