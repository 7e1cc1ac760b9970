using Isthmus.Images.Building;

namespace Isthmus.Output;

/// <summary>Shows the steps of an image's build.</summary>
internal sealed class ImageSteps(Action<Step> onStep, TimeProvider time) : IBuildProgress
{
    private string _current = "";
    private long _begun;

    /// <summary>Finishes the step before this one; an empty name only finishes.</summary>
    internal void Next(string step)
    {
        if (_current.Length > 0) Finished(_current, time.GetElapsedTime(_begun));
        (_current, _begun) = (step, time.GetTimestamp());
        if (step.Length > 0) Started(step);
    }

    public void Started(string step) => onStep(new("", step, 0, false));

    public void Finished(string step, TimeSpan took) => onStep(new("", step, took.TotalMilliseconds, true));
}
