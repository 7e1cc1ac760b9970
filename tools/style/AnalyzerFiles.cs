using System.Reflection;
using System.Runtime.Loader;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Diagnostics;

namespace Isthmus.Style;

/// <summary>Assemblies that compilations refer to, and those with analyzers and generators. Each is loaded once for all projects.</summary>
internal sealed class AnalyzerFiles : IAnalyzerAssemblyLoader
{
    private readonly Dictionary<(string Path, MetadataReferenceProperties Properties), MetadataReference> _references = [];
    private readonly Dictionary<string, AnalyzerFileReference> _analyzers = [];
    private readonly Dictionary<string, FolderContext> _folders = [];

    /// <summary>An assembly that a compilation refers to.</summary>
    internal MetadataReference Reference(string path, MetadataReferenceProperties properties)
    {
        if (!_references.TryGetValue((path, properties), out var known))
            _references[(path, properties)] = known = MetadataReference.CreateFromFile(path, properties);
        return known;
    }

    /// <summary>An assembly with analyzers or generators.</summary>
    internal AnalyzerFileReference Analyzer(string path)
    {
        if (!_analyzers.TryGetValue(path, out var known)) _analyzers[path] = known = new(path, this);
        return known;
    }

    void IAnalyzerAssemblyLoader.AddDependencyLocation(string fullPath)
    {
        // What an assembly needs is next to it.
    }

    Assembly IAnalyzerAssemblyLoader.LoadFromPath(string fullPath)
    {
        var folder = Path.GetDirectoryName(fullPath)!;
        lock (_folders)
        {
            if (!_folders.TryGetValue(folder, out var context)) _folders[folder] = context = new(folder);
            return context.LoadFromAssemblyPath(fullPath);
        }
    }

    /// <summary>As in the compiler: assemblies of one folder see each other, and share what the compiler consists of.</summary>
    private sealed class FolderContext(string folder) : AssemblyLoadContext
    {
        protected override Assembly? Load(AssemblyName assemblyName)
        {
            var file = $"{assemblyName.Name}.dll";
            if (File.Exists(Path.Combine(AppContext.BaseDirectory, file))) return null;
            var path = Path.Combine(folder, file);
            return File.Exists(path) ? LoadFromAssemblyPath(path) : null;
        }
    }
}
