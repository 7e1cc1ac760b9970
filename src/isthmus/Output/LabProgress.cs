using System.Runtime.Versioning;
using Isthmus.Lab.Supervisor;

namespace Isthmus.Output;

/// <summary>Shows the steps of a lab.</summary>
[SupportedOSPlatform("linux")]
internal static class LabProgress
{
    internal static Task RunAsync(Func<Action<LabStep>, Task> work) =>
        StepDisplay.RunAsync(onStep => work(step => onStep(new(step.Cluster, step.Text, step.Milliseconds, step.IsDone))), whole: "lab");
}
