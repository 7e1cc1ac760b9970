using Isthmus.Images.Building;
using Isthmus.Lab.Supervisor;

namespace Isthmus.Output;

/// <summary>Shows the steps of an image's build like those of a lab.</summary>
internal sealed class ImageSteps(Action<LabStep> onStep) : IBuildProgress
{
    public void Started(string step) => onStep(new("", step, 0, false));

    public void Finished(string step, TimeSpan took) => onStep(new("", step, took.TotalMilliseconds, true));
}
