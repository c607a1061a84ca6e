// What `env.DATASET.writeDataPoint(…)` is: nothing reads data points here, so none are kept.
export default function () {
  return { writeDataPoint() {} };
}
