using System.Text.Json;
using Isthmus.Core.Problems;
using Isthmus.Images.Description;

namespace Isthmus.Lab.Nodes.Images;

/// <summary>
/// The images that were loaded into the lab: a directory with the files of each, and an index. All nodes of the lab read it;
/// only commands write it, one at a time.
/// </summary>
public sealed class UnpackedImages(string directory)
{
    private const string Draft = "new-";
    private static readonly TimeSpan LockRetry = TimeSpan.FromMilliseconds(50);

    // Guards the last reading, which several Pods of a node may need at the same time.
    private readonly Lock _guard = new();
    private (DateTime Time, long Length) _stamp;
    private List<UnpackedImage> _read = [];

    private string Index => Path.Combine(directory, "index.json");

    /// <exception cref="ProblemException">The index cannot be read.</exception>
    public IReadOnlyList<UnpackedImage> All
    {
        get
        {
            lock (_guard)
            {
                var file = new FileInfo(Index);
                if (!file.Exists) return _read = [];
                if ((file.LastWriteTimeUtc, file.Length) == _stamp) return _read;
                try
                {
                    _read = JsonSerializer.Deserialize(File.ReadAllBytes(Index), ImageJson.Default.ListUnpackedImage) ?? [];
                }
                catch (Exception e) when (e is JsonException or IOException)
                {
                    throw new ProblemException(Index, $"cannot be read: {e.Message}", "remove the file and load the images again", e);
                }
                _stamp = (file.LastWriteTimeUtc, file.Length);
                return _read;
            }
        }
    }

    /// <summary>The image with that name and tag, or with that repository and digest.</summary>
    public UnpackedImage? Find(ImageName name) => All.FirstOrDefault(image =>
        name.Digest.Length > 0
            ? image.Digest == name.Digest && image.Names.Any(one => ImageName.TryParse(one, out var own) && own.Repository == name.Repository)
            : image.Names.Contains(name.ToString()));

    /// <summary>The directory with the files of an image.</summary>
    public string FilesOf(UnpackedImage image) => Path.Combine(directory, image.Files);

    /// <summary>Waits until no other command changes images. Dispose of the result when done.</summary>
    internal FileStream Lock(CancellationToken stop)
    {
        Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        while (true)
        {
            stop.ThrowIfCancellationRequested();
            try
            {
                return new FileStream(Path.Combine(directory, "lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(Path.Combine(directory, "lock")))
            {
                stop.WaitHandle.WaitOne(LockRetry);
            }
        }
    }

    /// <summary>Deletes what interrupted commands left.</summary>
    internal void Tidy()
    {
        var known = All.Select(image => image.Files).ToHashSet(StringComparer.Ordinal);
        foreach (var one in Directory.EnumerateDirectories(directory))
        {
            if (!known.Contains(Path.GetFileName(one))) Directory.Delete(one, recursive: true);
        }
    }

    /// <summary>An empty directory for the files of an image that is being unpacked.</summary>
    internal string NewDirectory()
    {
        var path = Path.Combine(directory, Draft + Guid.NewGuid().ToString("n"));
        Directory.CreateDirectory(path);
        File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
        return path;
    }

    /// <summary>Adds an image, or names to one that is there.</summary>
    /// <param name="files">A new directory with its files; null if they are there.</param>
    internal void Add(UnpackedImage image, string? files)
    {
        if (files is not null) Directory.Move(files, FilesOf(image));
        var others = All.Where(other => other.Id != image.Id).Select(other => other with { Names = [.. other.Names.Except(image.Names)] });
        Write([.. others, image]);
    }

    /// <summary>Takes a name from an image, or removes the image with its files.</summary>
    internal void Remove(UnpackedImage image, string? name)
    {
        if (name is not null)
        {
            Write([.. All.Select(other => other.Id == image.Id ? other with { Names = [.. other.Names.Where(one => one != name)] } : other)]);
            return;
        }
        Write([.. All.Where(other => other.Id != image.Id)]);
        if (All.All(other => other.Files != image.Files)) Directory.Delete(FilesOf(image), recursive: true);
    }

    private void Write(List<UnpackedImage> images)
    {
        var draft = Index + ".new";
        File.WriteAllBytes(draft, JsonSerializer.SerializeToUtf8Bytes(images, ImageJson.Default.ListUnpackedImage));
        File.Move(draft, Index, overwrite: true);
    }
}
