// Progress on a terminal and in a file, with a fake clock.
#include "runtime/progress.h"

#include <gmock/gmock.h>

#include <vector>

namespace sartor {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Screen {
  double now = 100;
  std::vector<std::string> shown;

  Display display(int columns) {
    return {.write = [this](std::string_view text) { shown.emplace_back(text); },
            .seconds = [this] { return now; },
            .columns = columns};
  }
};

TEST(Progress, TerminalLineIsRedrawnAndCut) {
  Screen screen;
  {
    Progress progress("epoch", 15, 2, screen.display(80));
    screen.now += 1.5;
    progress.update(3, "rmse 0.9312");
    screen.now += 0.05;
    progress.update(4);  // too soon after the last output to be shown
    screen.now += 598.45;
    progress.update(15, "rmse 0.9");
  }
  EXPECT_THAT(screen.shown,
              ElementsAre("\r\033[Kepoch 3/15 [====>               ]  1.5 s/epoch  0:18 left  rmse 0.9312",
                          "\r\033[Kepoch 15/15 [====================]  46.2 s/epoch  rmse 0.9", "\n"));
  screen.shown.clear();
  Progress("epoch", 15, 0, screen.display(20)).update(1, "a note that has no room");
  EXPECT_EQ(screen.shown[0], "\r\033[Kepoch 1/15 [=>     ");
}

TEST(Progress, PipeGetsTheFirstLineTheLastAndOneEveryFiveSeconds) {
  Screen screen;
  Progress progress("epoch", 50, 0, screen.display(0));
  for (int64_t epoch = 1; epoch <= 50; epoch++) {
    screen.now += 0.25;
    progress.update(epoch, "loss 1");
  }
  EXPECT_THAT(
      screen.shown,
      ElementsAre("epoch 1/50  0.25 s/epoch  0:12 left  loss 1\n", "epoch 21/50  0.25 s/epoch  0:07 left  loss 1\n",
                  "epoch 41/50  0.25 s/epoch  0:02 left  loss 1\n", "epoch 50/50  0.25 s/epoch  loss 1\n"));
}

TEST(Progress, UnknownEndAndLongTimes) {
  Screen screen;
  Progress rows("row", 0, 0, screen.display(0));
  rows.update(0);
  screen.now += 10;
  rows.update(20'000'000);
  Progress slow("epoch", 100, 0, screen.display(0));
  screen.now += 90;
  slow.update(1);
  EXPECT_THAT(screen.shown, ElementsAre("row 20000000  2000000 rows/s\n", "epoch 1/100  90 s/epoch  2:28:30 left\n"));
}

TEST(Progress, NothingDoneShowsNothing) {
  Screen screen;
  { Progress progress("epoch", 3, 0, screen.display(80)); }
  EXPECT_THAT(screen.shown, IsEmpty());
}

}  // namespace
}  // namespace sartor
