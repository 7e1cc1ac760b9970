namespace Isthmus.Images.Unpacking;

/// <summary>Finds files below a root as a process would whose root it is: links never lead out.</summary>
public static class ScopedPath
{
    private const int MostSteps = 1000;

    /// <summary>The path below the root with all symbolic links resolved: starts with a slash, or is empty for the root itself. Parts that do not exist stay
    /// unchanged.</summary>
    /// <exception cref="IOException">Links refer to each other.</exception>
    public static string Resolve(string root, string path)
    {
        var pending = new Stack<string>(path.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse());
        var resolved = "";
        for (var steps = 0; pending.TryPop(out var part); steps++)
        {
            if (steps > MostSteps) throw new IOException($"{path}: too many symbolic links");
            if (part == ".") continue;
            if (part == "..")
            {
                resolved = resolved[..Math.Max(0, resolved.LastIndexOf('/'))];
                continue;
            }
            if (new FileInfo($"{root}{resolved}/{part}").LinkTarget is not { } link)
            {
                resolved += "/" + part;
                continue;
            }
            if (link.StartsWith('/')) resolved = "";
            foreach (var inner in link.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse()) pending.Push(inner);
        }
        return resolved;
    }
}
