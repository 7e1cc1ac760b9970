namespace Isthmus.Operate.Diagnose;

public static class ImageTag
{
    /// <summary>Null if the image has none, as where a digest names it.</summary>
    public static string? Of(string image)
    {
        var name = image.Split('@')[0];
        var colon = name.LastIndexOf(':');
        return colon > name.LastIndexOf('/') ? name[(colon + 1)..] : null;
    }
}
